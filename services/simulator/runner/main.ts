import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { jitConfig, type JitConfig } from '../protocol.ts';
import { configure, readConfiguration } from './configure.ts';
import { RunnerClient, ServerRefusal } from './client.ts';
import { RUNNER_VERSION, runJob } from './job.ts';
import { removeWorkspace } from './workspace.ts';

/**
 * The fake runner, which takes the place of the forge's runner program. With `--jitconfig BASE64` (or
 * ACTIONS_RUNNER_INPUT_JITCONFIG) it runs one job; after config.sh (`configure …`) it runs job after job.
 * It has the exit codes of GitHub's own listener: 0 done or stopped, 1 don't try again, 2 try again. With `--outlive-registration`
 * it stays when its registration was deleted, as GitHub's own may.
 */
const OUTLIVED_MS = 24 * 3_600_000;
const RESULT = { success: 'Succeeded', failure: 'Failed', cancelled: 'Canceled', lost: 'Lost' } as const;

/** Between two requests of a runner without a registration. */
const RETRY_MS = 1000;

// As GitHub's: it goes on where nobody reads its output any more.
process.stdout.on('error', () => undefined);

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};
const printWithTime = (text: string): void =>
  print(`${new Date().toISOString().slice(0, 19).replace('T', ' ')}Z: ${text}`);

function readConfig(): JitConfig {
  const { values } = parseArgs({ options: { jitconfig: { type: 'string' } }, allowPositionals: true, strict: false });
  const given = values.jitconfig ?? process.env['ACTIONS_RUNNER_INPUT_JITCONFIG'];
  // Steps must not see the JIT config, with which they could act as this runner.
  delete process.env['ACTIONS_RUNNER_INPUT_JITCONFIG'];
  if (typeof given !== 'string' || given === '') return readConfiguration();
  return jitConfig.parse(JSON.parse(Buffer.from(given, 'base64').toString('utf8')));
}

async function run(config: JitConfig, shutdown: AbortSignal): Promise<void> {
  const client = new RunnerClient(config);
  // Several runners may be started in one folder: each has a work folder of its own.
  const root = join(process.cwd(), config.workFolder, `${config.runnerName}-${randomUUID().slice(0, 8)}`);
  const { ephemeral, outliveMs } = await client.openSession(shutdown);
  print('\n√ Connected to GitHub\n');
  print(`Current runner version: '${RUNNER_VERSION}'`);
  printWithTime('Listening for Jobs');
  let why: string | undefined;
  try {
    while (!shutdown.aborted) {
      const jobId = await listen(client, outliveMs, shutdown);
      const message = jobId === undefined ? undefined : await client.acquire(jobId, shutdown);
      if (!message) continue;
      printWithTime(`Running job: ${message.name}`);
      const result = await runJob({ client, message, runnerName: config.runnerName, root, shutdown });
      why = `Job ${message.name} completed with result: ${RESULT[result]}`;
      printWithTime(why);
      if (ephemeral) break;
    }
  } catch (error) {
    why = String(error);
    throw error;
  } finally {
    removeWorkspace(root);
    await client.closeSession(why);
  }
}

/** Waits for a job. Like GitHub's, the program may outlive its registration: it goes on asking, and never gets one. */
async function listen(client: RunnerClient, outliveMs: number, shutdown: AbortSignal): Promise<number | undefined> {
  const begun = performance.now();
  for (;;) {
    try {
      return await client.nextJob(shutdown);
    } catch (error) {
      const isUnregistered = error instanceof ServerRefusal && error.status === 401;
      if (!isUnregistered || performance.now() - begun >= outliveMs) throw error;
      printWithTime('Runner listen error: the registration has been deleted. Retrying until reconnected.');
      await sleep(RETRY_MS, undefined, { signal: shutdown }).catch(() => undefined);
      if (shutdown.aborted) return undefined;
    }
  }
}

async function main(): Promise<number> {
  if (process.argv[2] === 'configure') {
    try {
      await configure(process.argv.slice(3));
      return 0;
    } catch (error) {
      print(`An error occurred: ${error instanceof Error ? error.message : String(error)}`);
      return 1;
    }
  }
  const shutdown = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (shutdown.signal.aborted) process.exit(0);
      print('Exiting...');
      shutdown.abort();
    });
  }
  try {
    await run(readConfig(), shutdown.signal);
    return 0;
  } catch (error) {
    if (shutdown.signal.aborted) return 0;
    print(`An error occurred: ${error instanceof Error ? error.message : String(error)}`);
    const isUnregistered = error instanceof ServerRefusal && error.status === 401;
    // Its socket is closed by now: a timer keeps the process alive.
    if (isUnregistered && process.argv.includes('--outlive-registration')) {
      await sleep(OUTLIVED_MS, undefined, shutdown).catch(() => undefined);
    }
    // 409: the session of a killed runner may exist for a while.
    return error instanceof ServerRefusal && error.status === 409 ? 2 : 1;
  }
}

process.exit(await main());
