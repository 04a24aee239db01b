import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { identify } from './identify.ts';
import type { SpawnOrder, SpawnReport } from './spawner.ts';

/** A program: starts the processes that its parent orders. It imports little, so that it stays small: see {@link Spawner}. */
process.on('disconnect', () => process.exit(0));
process.on('message', (order: SpawnOrder & { id: number }) => {
  try {
    start(order);
  } catch (error) {
    report({ id: order.id, type: 'failed', reason: error instanceof Error ? error.message : String(error) });
  }
});

function start({ id, file, args, cwd, env, log }: SpawnOrder & { id: number }): void {
  const output = openSync(log, 'a', 0o600);
  try {
    const child = spawn(file, args, { cwd, env, detached: true, stdio: ['ignore', output, output] });
    // Read before the event loop can reap the child: a program that has already ended is then still in the process table.
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    child.once('error', (error) => report({ id, type: 'failed', reason: error.message }));
    if (identity === undefined) {
      if (child.pid !== undefined) report({ id, type: 'failed', reason: 'it is not in the process table' });
      return;
    }
    const { pid, started } = identity;
    child.once('spawn', () => report({ id, type: 'started', identity: { pid, started } }));
    child.once('exit', (code, signal) => report({ id, type: 'ended', ending: { code, signal } }));
  } finally {
    closeSync(output);
  }
}

function report(content: SpawnReport): void {
  // Where the parent has ended, so will this program.
  process.send?.(content, () => undefined);
}
