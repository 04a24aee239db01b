import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { identify } from './identify.ts';
import type { SpawnOrder, SpawnReport } from './spawner.ts';

/** A program: starts the processes that its parent orders. It imports little, so that it stays small: see {@link Spawner}. */
process.on('disconnect', () => process.exit(0));
process.on('message', (order: SpawnOrder & { id: number }) => {
  let output: number;
  try {
    output = openSync(order.log, 'a', 0o600);
  } catch (error) {
    report({ id: order.id, type: 'failed', isLog: true, reason: getMessage(error) });
    return;
  }
  try {
    start(order, output);
  } catch (error) {
    report({ id: order.id, type: 'failed', isLog: false, reason: getMessage(error) });
  } finally {
    closeSync(output);
  }
});

function start({ id, file, args, cwd, env }: SpawnOrder & { id: number }, output: number): void {
  const fail = (reason: string): void => report({ id, type: 'failed', isLog: false, reason });
  const child = spawn(file, args, { cwd, env, detached: true, stdio: ['ignore', output, output] });
  // Read before the event loop can reap the child: a program that has already ended is then still in the process table.
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  child.once('error', (error) => fail(error.message));
  if (identity === undefined) {
    if (child.pid !== undefined) fail('it is not in the process table');
    return;
  }
  const { pid, started } = identity;
  child.once('spawn', () => report({ id, type: 'started', identity: { pid, started } }));
  child.once('exit', (code, signal) => report({ id, type: 'ended', ending: { code, signal } }));
}

function report(content: SpawnReport): void {
  // Where the parent has ended, so will this program.
  process.send?.(content, () => undefined);
}

function getMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
