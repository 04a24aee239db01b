// Plain JavaScript without dependencies: deploy/launcher/run.mjs uses it on any Node from 20 on, before anything is installed.
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';

const RETRY_DELAY_MS = 20;
const HEARTBEAT_INTERVAL_MS = 2000;
const STALE_MS = 30_000;

/** See file-lock.d.mts. */
export async function acquireLock(file, options = {}) {
  const { waitMs = Number.POSITIVE_INFINITY, staleMs = STALE_MS, onWait } = options;
  mkdirSync(dirname(file), { recursive: true });
  const since = Date.now();
  let isReported = false;
  for (;;) {
    if (createLockFile(file)) return hold(file);
    const owner = readOwner(file);
    if (isStale(file, owner, staleMs)) {
      removeStale(file, owner);
      continue;
    }
    if (!isReported) onWait?.(owner?.pid);
    isReported = true;
    if (Date.now() - since >= waitMs) return undefined;
    await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS));
  }
}

function createLockFile(file) {
  try {
    writeFileSync(file, JSON.stringify({ pid: process.pid, host: hostname() }), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    // A full disk takes the file, but not its content: without an owner, everybody would wait for it.
    if (error.code !== 'EROFS' && error.code !== 'EACCES') rmSync(file, { force: true });
    throw error;
  }
}

function hold(file) {
  // Processes in other containers can't see our pid: the heartbeat shows them that we are alive.
  const heartbeat = setInterval(() => {
    try {
      const now = new Date();
      utimesSync(file, now, now);
    } catch {
      // The folder is being removed: no process waits for the lock any more.
    }
  }, HEARTBEAT_INTERVAL_MS);
  heartbeat.unref();
  const remove = () => rmSync(file, { force: true });
  process.once('exit', remove);
  return {
    release() {
      clearInterval(heartbeat);
      process.removeListener('exit', remove);
      remove();
    },
  };
}

function readOwner(file) {
  try {
    const owner = JSON.parse(readFileSync(file, 'utf8'));
    return { pid: Number(owner.pid), host: String(owner.host) };
  } catch {
    // Removed meanwhile, or created and not written yet.
    return undefined;
  }
}

function isStale(file, owner, staleMs) {
  if (owner !== undefined && owner.host === hostname() && !isAlive(owner.pid)) return true;
  try {
    return Date.now() - statSync(file).mtimeMs > staleMs;
  } catch {
    return false;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/**
 * Two waiting processes may both see a stale file; when the second one acts, the first may hold a new one. Renaming the file
 * first and then reading it makes sure that only the stale one is removed.
 */
function removeStale(file, owner) {
  const renamed = `${file}.${process.pid}`;
  try {
    renameSync(file, renamed);
  } catch {
    return;
  }
  const moved = readOwner(renamed);
  if (moved !== undefined && (moved.pid !== owner?.pid || moved.host !== owner.host)) renameSync(renamed, file);
  else rmSync(renamed, { force: true });
}
