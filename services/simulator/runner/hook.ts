import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { RunningJob } from './job-context.ts';
import { runScript } from './script.ts';
import { findHookShell } from './shell.ts';

export const JOB_HOOKS = {
  started: { variable: 'ACTIONS_RUNNER_HOOK_JOB_STARTED', step: 'Set up runner' },
  completed: { variable: 'ACTIONS_RUNNER_HOOK_JOB_COMPLETED', step: 'Complete runner' },
} as const;

/**
 * Runs one of the two job hooks, where it is set, as a step of its own, without a time limit. Where it fails, the job fails. A
 * cancellation doesn't interrupt it; the runner's own shutdown does.
 */
export async function runJobHook(job: RunningJob, kind: keyof typeof JOB_HOOKS, shutdown: AbortSignal): Promise<void> {
  const { variable, step } = JOB_HOOKS[kind];
  const script = process.env[variable];
  if (script === undefined || script === '') return;
  const log = job.newStep(step);
  try {
    log.print(`A job ${kind} hook has been configured by the self-hosted runner administrator`);
    log.print(`##[group]Run '${script}'`);
    if (!isAbsolute(script)) throw new Error(`${variable} is not an absolute path: '${script}'`);
    if (!existsSync(script)) throw new Error(`File doesn't exist: '${script}'`);
    const shell = findHookShell(script, process.env['PATH']);
    log.print(`shell: ${shell.display}`);
    log.print('##[endgroup]');
    await runScript(job, log, { shell, script, env: {}, workingDirectory: null, isHook: true, stop: shutdown });
    await log.end('success');
  } catch (error) {
    job.result = 'failure';
    job.fail(log, error instanceof Error ? error.message : String(error));
    await log.end('failure');
  }
}
