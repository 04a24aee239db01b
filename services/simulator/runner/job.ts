import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { replaceExpressions } from '../expression.ts';
import type { Completion, JobMessage } from '../protocol.ts';
import { ServerRefusal, type RunnerClient } from './client.ts';
import { runJobHook } from './hook.ts';
import { RunningJob } from './job-context.ts';
import { killMarked } from './processes.ts';
import { runStep } from './step.ts';
import { WorkerLog } from './worker-log.ts';
import { createDefaultVariables, makeWorkspace } from './workspace.ts';

export interface JobParts {
  client: RunnerClient;
  message: JobMessage;
  runnerName: string;
  /** The runner's work folder. */
  root: string;
  /** SIGTERM or SIGINT to the runner. */
  shutdown: AbortSignal;
}

/**
 * Runs one job: initialisation, the started hook, its steps, the completed hook; then it reports the result. Neither hook runs
 * where initialisation fails or is cancelled; the completed hook doesn't run on the runner's own shutdown.
 *
 * @returns its conclusion; `lost` when the server took the job away meanwhile
 */
export async function runJob(order: JobParts): Promise<Completion['conclusion'] | 'lost'> {
  const { client, message, shutdown } = order;
  const workspace = makeWorkspace(order.root, message);
  const trackingId = `github_${randomUUID()}`;
  const debug = process.env['ACTIONS_STEP_DEBUG'] === 'true';
  const defaults = createDefaultVariables(message, workspace, { name: order.runnerName, trackingId, debug });
  const job = new RunningJob(message, workspace, defaults, (report) => client.reportStep(message.jobId, report));
  const end = new AbortController();
  const watch = watchForStops(job, order, end.signal);
  if (await initialiseJob(job, order.runnerName)) {
    const diagnostics = new WorkerLog();
    await runJobHook(job, 'started', shutdown);
    diagnostics.state(job.status);
    for (const [index, step] of message.steps.entries()) {
      if (shutdown.aborted || job.stopReason === 'lost') break;
      await runStep(job, step, index, shutdown);
      diagnostics.state(job.status);
    }
    if (!shutdown.aborted && job.stopReason !== 'lost') await runJobHook(job, 'completed', shutdown);
    diagnostics.end();
  }
  const log = job.newStep('Complete job');
  log.print('Cleaning up orphan processes');
  const ended = killMarked('RUNNER_TRACKING_ID', trackingId);
  if (ended > 0) log.print(`Terminated ${ended} orphan process(es)`);
  await log.end('success');
  end.abort();
  await watch;
  if (job.stopReason === 'lost') return 'lost';
  const conclusion = job.status;
  await client.complete(message.jobId, { conclusion, annotations: job.annotations, summary: job.summary });
  return conclusion;
}

/** Runs the `Set up job` step. @returns whether the job continues */
async function initialiseJob(job: RunningJob, runnerName: string): Promise<boolean> {
  const log = job.newStep('Set up job');
  log.print(`Current runner version: '${RUNNER_VERSION}'`);
  log.print(`Runner name: '${runnerName}'`);
  log.print(`Machine name: '${hostname()}'`);
  const { message } = job;
  try {
    for (const [key, value] of Object.entries(message.env)) job.env.set(key, replaceExpressions(value, job.scope()));
    const actions = message.steps.flatMap((step) => (step.uses === null ? [] : [step.uses]));
    if (message.initialisation === 'cancel') job.stop('cancelled');
    log.print('Prepare workflow directory');
    log.print('Prepare all required actions');
    // Actions are not supported: a step with one fails the job where a failed download does.
    if (message.initialisation === 'fail' || actions.length > 0) {
      throw new Error(`Unable to resolve action ${actions[0] ?? ''}, repository not found`);
    }
    if (job.stopReason !== undefined) {
      log.print('##[error]The operation was canceled.');
      await log.end('cancelled');
      return false;
    }
    log.print(`Complete job name: ${message.name}`);
    await log.end('success');
    return true;
  } catch (error) {
    job.result = 'failure';
    job.fail(log, error instanceof Error ? error.message : String(error));
    await log.end('failure');
    return false;
  }
}

export const RUNNER_VERSION = '2.999.0';

/** Stops the job on a cancellation, at its time limit, on the runner's shutdown, or when the server took it away. */
async function watchForStops(job: RunningJob, order: JobParts, end: AbortSignal): Promise<void> {
  const { message, client, shutdown } = order;
  const limit = setTimeout(
    () => {
      const text = `The job running on runner ${order.runnerName} has exceeded the maximum execution time of ${message.timeoutMinutes} minutes.`;
      job.annotations.push({ level: 'failure', message: text });
      job.stop('timeout');
    },
    (message.timeoutMinutes ?? 360) * 60_000,
  );
  const onShutdown = (): void => {
    const text =
      'The runner has received a shutdown signal. This can happen when the runner service is stopped, or a manually started runner is canceled.';
    job.annotations.push({ level: 'failure', message: text });
    job.stop('shutdown');
  };
  if (shutdown.aborted) onShutdown();
  else shutdown.addEventListener('abort', onShutdown, { once: true });
  while (!end.aborted && job.stopReason === undefined) {
    try {
      if (await client.waitForCancellation(message.jobId, end)) job.stop('cancelled');
    } catch (error) {
      if (error instanceof ServerRefusal) job.stop('lost');
    }
  }
  // A cancelled job still sends its heartbeat: always() steps and the completed hook may take long.
  while (!end.aborted && job.stopReason !== 'lost') {
    await client.waitForCancellation(message.jobId, end).catch(() => undefined);
    await sleepUnless(1_000, end);
  }
  clearTimeout(limit);
  shutdown.removeEventListener('abort', onShutdown);
}

async function sleepUnless(ms: number, end: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      end.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    end.addEventListener('abort', done, { once: true });
    if (end.aborted) done();
  });
}
