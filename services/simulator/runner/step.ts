import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluateCondition, replaceExpressions } from '../expression.ts';
import type { Conclusion, StepMessage } from '../protocol.ts';
import type { RunningJob } from './job-context.ts';
import { runScript } from './script.ts';
import { findStepShell, type ShellCommand } from './shell.ts';
import type { StepLog } from './step-log.ts';

/** Runs a step of the workflow file, or skips it by its condition. Never throws: where the step fails, the job fails. */
export async function runStep(job: RunningJob, step: StepMessage, index: number, shutdown: AbortSignal): Promise<void> {
  const log = job.newStep(
    step.name === null ? defaultName(step) : safely(() => replaceExpressions(step.name ?? '', job.scope())),
  );
  const finish = async (outcome: Conclusion, conclusion: Conclusion, outputs: Record<string, string>) => {
    if (step.id !== null) job.outcomes.set(step.id, { outcome, conclusion, outputs });
    await log.end(conclusion);
  };
  const stop = new AbortController();
  const stillWanted = (): boolean => evaluateCondition(step.if ?? undefined, job.scope());
  // A cancellation doesn't interrupt a step that runs also in a cancelled job, such as `always()`.
  const onStop = (): void => {
    if (shutdown.aborted || job.stopReason === 'lost' || !stillWanted()) stop.abort();
  };
  let limit: NodeJS.Timeout | undefined;
  let isTimedOut = false;
  try {
    if (!stillWanted()) return await finish('skipped', 'skipped', {});
    job.stopSignal.addEventListener('abort', onStop);
    if (step.timeoutMinutes !== null) {
      limit = setTimeout(() => {
        isTimedOut = true;
        stop.abort();
      }, step.timeoutMinutes * 60_000);
    }
    const outputs = await runShellStep(job, log, step, index, stop.signal);
    return await finish('success', 'success', outputs);
  } catch (error) {
    const isCancelled = stop.signal.aborted && !isTimedOut;
    job.fail(
      log,
      isTimedOut
        ? `The action '${defaultName(step)}' has timed out after ${step.timeoutMinutes} minutes.`
        : error instanceof Error
          ? error.message
          : String(error),
    );
    const outcome = isCancelled ? 'cancelled' : 'failure';
    if (step.continueOnError && !isCancelled) return await finish(outcome, 'success', {});
    if (!isCancelled) job.result = 'failure';
    return await finish(outcome, outcome, {});
  } finally {
    clearTimeout(limit);
    job.stopSignal.removeEventListener('abort', onStop);
  }
}

async function runShellStep(
  job: RunningJob,
  log: StepLog,
  step: StepMessage,
  index: number,
  stop: AbortSignal,
): Promise<Record<string, string>> {
  const scope = job.scope();
  const env = Object.fromEntries(
    Object.entries(step.env).map(([key, value]) => [key, replaceExpressions(value, scope)]),
  );
  const text = replaceExpressions(step.run ?? '', scope);
  const environment = job.environment(env);
  const shell = findStepShell(step.shell === null ? null : replaceExpressions(step.shell, scope), environment['PATH']);
  const script = join(job.workspace.temp, `${randomUUID()}${shell.extension}`);
  writeFileSync(script, scriptText(text, shell));
  log.print(`##[group]Run ${text.split('\n')[0] ?? ''}`);
  for (const line of text.trimEnd().split('\n')) log.print(line);
  log.print(`shell: ${shell.display}`);
  const shown = { ...Object.fromEntries(job.env), ...env };
  if (Object.keys(shown).length > 0) log.print('env:');
  for (const [key, value] of Object.entries(shown)) log.print(`  ${key}: ${value}`);
  log.print('##[endgroup]');
  return await runScript(job, log, {
    shell,
    script,
    env: { ...env, GITHUB_ACTION: step.id ?? (index === 0 ? '__run' : `__run_${index + 1}`) },
    workingDirectory: step.workingDirectory === null ? null : replaceExpressions(step.workingDirectory, scope),
    isHook: false,
    stop,
  });
}

/** PowerShell stops at the first error and returns the exit code of the last program, as on GitHub. */
function scriptText(text: string, shell: ShellCommand): string {
  if (shell.extension !== '.ps1') return text.endsWith('\n') ? text : `${text}\n`;
  return [
    "$ErrorActionPreference = 'stop'",
    text,
    'if ((Test-Path -LiteralPath variable:\\LASTEXITCODE)) { exit $LASTEXITCODE }',
    '',
  ].join('\n');
}

const defaultName = (step: StepMessage): string => step.name ?? `Run ${(step.run ?? '').split('\n')[0] ?? ''}`;

function safely(text: () => string): string {
  try {
    return text();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
