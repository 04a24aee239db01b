import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { printError } from '../lib/print-error.ts';
import { isClean, formatDemoResult, runDemo, type DemoResult } from './demo-run.ts';
import { startInstallation, type Installation } from './installation.ts';
import type { StartOptions } from './options.ts';
import { clearState, removeState, lockState, rotateLogs, getStateFolder } from './state-folder.ts';
import { print } from '../lib/print.ts';
import { Cleanups } from './cleanups.ts';
import { listenForStop, type StopSignal } from './stop-signal.ts';

/**
 * `baton start`: runs everything on this machine; without a configuration, the demo, whose state is removed at the end. Stops
 * on Ctrl-C (twice: immediately), or with `once` after the demo's jobs.
 *
 * @returns the exit code: 0 after an orderly stop (with `once`: when all jobs completed and nothing is left)
 */
export async function start(options: StartOptions): Promise<number> {
  const demo = options.config === undefined;
  const state = getStateFolder(process.cwd());
  const lock = await lockState(state);
  if (options.config === undefined) {
    clearState(state);
  } else {
    rotateLogs(state);
    // `baton apply` writes what the services read from this file.
    writeFileSync(state.source, resolve(options.config));
  }

  const cleanups = new Cleanups();
  const stop = listenForStop(() => {
    cleanups.kill();
    print('stopped immediately; the next `baton start` in this folder removes instances that are left');
    process.exit(130);
  });
  void stop.fired.then(() => print('stopping (press Ctrl-C again to stop immediately)'));
  let problems = 0;
  const report = (error: unknown): void => {
    problems += 1;
    printError(error, print);
  };
  let result: DemoResult | undefined;
  try {
    const running = await Promise.race([startInstallation(options, { state, cleanups }), stop.fired]);
    if (running) result = await runInstallation(running, options, stop);
  } catch (error) {
    report(error);
  }
  await cleanups.run(report);
  const good = problems === 0 && (!options.once || (result !== undefined && isClean(result)));
  if (good && demo) clearState(state);
  else if (!good) print(`see the logs in ${state.logs}`);
  lock.release();
  if (good && demo) removeState(state);
  if (options.once && result) {
    if (result.openRunners > 0) print(`${result.openRunners} runner workflows are still open`);
    print(formatDemoResult(result));
  }
  return good ? 0 : 1;
}

async function runInstallation(
  running: Installation,
  options: StartOptions,
  stop: StopSignal,
): Promise<DemoResult | undefined> {
  const { demo, addresses } = running;
  let result: DemoResult | undefined;
  if (demo) {
    print('');
    result = await runDemo({ ...running, simulator: demo, stop: stop.signal });
    if (options.once || result === undefined) return result;
    print('');
  }
  for (const [what, address] of Object.entries(addresses)) print(`${what.padEnd(12)} ${address}`);
  print(
    '\nEverything runs until you press Ctrl-C. `npm run baton status` in another terminal shows groups and runners.',
  );
  await stop.fired;
  return result;
}
