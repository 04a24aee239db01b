import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '../../../contracts/errors.ts';
import { acquireLock, type Lock } from '../../../contracts/lib/file-lock.mjs';

/** Paths of all files of `baton start`, under `.baton` in the folder where it runs. */
export interface StateFolder {
  root: string;
  lock: string;
  /** The configuration that the services run with. */
  config: string;
  /** Contains the path of the file that {@link StateFolder.config} is made from; the demo has none. */
  source: string;
  /** The operator, its accounts and credentials. */
  operator: string;
  /** Credentials that may only read. */
  observer: string;
  /** Credentials that may also pause, resume and drain groups, and apply a configuration. */
  admin: string;
  nats: string;
  temporal: string;
  /** Instances of the local backend. */
  instances: string;
  /** The demo's fake runner. */
  fakeRunner: string;
  logs: string;
}

export function getStateFolder(folder: string): StateFolder {
  const root = join(folder, '.baton');
  return {
    root,
    lock: join(root, 'start.lock'),
    config: join(root, 'baton.yaml'),
    source: join(root, 'source'),
    operator: join(root, 'operator'),
    observer: join(root, 'operator', 'observer.creds'),
    admin: join(root, 'operator', 'admin.creds'),
    nats: join(root, 'nats'),
    temporal: join(root, 'temporal'),
    instances: join(root, 'instances'),
    fakeRunner: join(root, 'runner'),
    logs: join(root, 'logs'),
  };
}

/**
 * Locks the folder for this process.
 *
 * @throws BatonError SERVER_UNAVAILABLE when another `baton start` runs in it
 */
export async function lockState(state: StateFolder): Promise<Lock> {
  mkdirSync(state.root, { recursive: true, mode: 0o700 });
  let owner: number | undefined;
  const lock = await acquireLock(state.lock, {
    waitMs: 0,
    onWait: (pid) => {
      owner = pid;
    },
  });
  if (lock !== undefined) return lock;
  const who = owner === undefined ? 'another process' : `process ${owner}`;
  throw new BatonError(
    'SERVER_UNAVAILABLE',
    `baton already runs in this folder (${who} holds ${state.lock}). Stop it, or start in another folder.`,
  );
}

/** Removes everything that an earlier run left, but not the files of other programs of Baton. */
export function clearState(state: StateFolder): void {
  for (const path of [
    state.config,
    state.source,
    state.operator,
    state.nats,
    state.temporal,
    state.instances,
    state.fakeRunner,
    state.logs,
  ]) {
    rmSync(path, { recursive: true, force: true });
  }
}

/** Removes the folder itself, unless something else is in it. */
export function removeState(state: StateFolder): void {
  try {
    rmdirSync(state.root);
  } catch {
    // The folder is not empty.
  }
}

/** Renames the logs of the previous run to `<name>.log.old`, so that each file holds the log of one run. */
export function rotateLogs(state: StateFolder): void {
  if (!existsSync(state.logs)) return;
  for (const name of readdirSync(state.logs)) {
    if (name.endsWith('.log')) renameSync(join(state.logs, name), join(state.logs, `${name}.old`));
  }
}
