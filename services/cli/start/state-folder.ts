import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '../../../contracts/errors.ts';
import { acquireLock, type Lock } from '../../../contracts/lib/file-lock.mjs';

/** Paths of all that `baton start` keeps, under `.baton` in the folder where it runs. */
export interface StateFolder {
  root: string;
  lock: string;
  /** The configuration that the services run with. */
  config: string;
  /** Names the file that {@link StateFolder.config} is made of; not there for the demo. */
  source: string;
  /** The operator, its accounts and credentials. */
  operator: string;
  /** A credential that may ask what is going on. */
  observer: string;
  /** One that may also tell groups what to do. */
  admin: string;
  nats: string;
  temporal: string;
  /** Instances of the local backend. */
  instances: string;
  /** The demo's runner program. */
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
 * Takes the folder for this process.
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
    `baton already runs in this folder (${who} holds ${state.lock}); stop it, or start this one in another folder`,
  );
}

/** Removes all that an earlier run left, but for what other programs of ours keep there. */
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

/** Removes the folder itself, unless something that isn't ours to remove is in it. */
export function removeState(state: StateFolder): void {
  try {
    rmdirSync(state.root);
  } catch {
    // Not empty.
  }
}

/** The log of the run before is kept as `<name>.log.old`, so that each file tells of one run. */
export function rotateLogs(state: StateFolder): void {
  if (!existsSync(state.logs)) return;
  for (const name of readdirSync(state.logs)) {
    if (name.endsWith('.log')) renameSync(join(state.logs, name), join(state.logs, `${name}.old`));
  }
}
