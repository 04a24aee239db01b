// Plain JavaScript: deploy/launcher/run.mjs uses it before anything is installed.
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';

const BEAT_MS = 2000;
const STALE_MS = 30_000;

/** See lock.d.mts. */
export async function acquireLock(file, options = {}) {
  const waitMs = options.waitMs ?? Number.POSITIVE_INFINITY;
  mkdirSync(dirname(file), { recursive: true });
  const since = Date.now();
  let told = false;
  for (;;) {
    if (take(file)) return hold(file);
    const owner = read(file);
    if (owner !== undefined && isStale(file, owner)) {
      setAside(file, owner);
      continue;
    }
    if (!told) options.onWait?.(owner?.pid);
    told = true;
    if (Date.now() - since >= waitMs) return undefined;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function take(file) {
  try {
    writeFileSync(file, JSON.stringify({ pid: process.pid, host: hostname() }), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function hold(file) {
  // The beat tells processes in other containers, which can't see our pid, that we live.
  const beat = setInterval(() => {
    try {
      const now = new Date();
      utimesSync(file, now, now);
    } catch {
      // The folder is being removed: nobody waits for it any more.
    }
  }, BEAT_MS);
  beat.unref();
  const drop = () => rmSync(file, { force: true });
  process.once('exit', drop);
  return {
    release() {
      clearInterval(beat);
      process.removeListener('exit', drop);
      drop();
    },
  };
}

function read(file) {
  try {
    const owner = JSON.parse(readFileSync(file, 'utf8'));
    return { pid: Number(owner.pid), host: String(owner.host) };
  } catch {
    // Gone, or created and not written yet.
    return undefined;
  }
}

function isStale(file, owner) {
  if (owner.host === hostname() && !isAlive(owner.pid)) return true;
  try {
    return Date.now() - statSync(file).mtimeMs > STALE_MS;
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
 * Two waiters may both see a stale file; when the second acts, the first may hold a new one. Renaming first and looking
 * at what was renamed makes sure that only the stale one goes.
 */
function setAside(file, owner) {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const moved = read(aside);
  if (moved !== undefined && (moved.pid !== owner.pid || moved.host !== owner.host)) renameSync(aside, file);
  else rmSync(aside, { force: true });
}
