import { randomUUID } from 'node:crypto';
import { isAbsolute, join } from 'node:path';
import { OutputReader } from './commands.ts';
import { makeEnvironmentFiles, readEnvironmentFiles } from './environment-files.ts';
import type { RunningJob } from './job-context.ts';
import { runProcess } from './processes.ts';
import { toArguments, type ShellCommand } from './shell.ts';
import type { StepLog } from './step-log.ts';

export interface ScriptOrder {
  shell: ShellCommand;
  script: string;
  env: Record<string, string>;
  workingDirectory: string | null;
  isHook: boolean;
  stop: AbortSignal;
}

/**
 * Runs the script of a step or hook, and applies its commands and environment files: GITHUB_ENV and GITHUB_PATH of a hook reach
 * all later steps.
 *
 * @returns its outputs
 * @throws Error when the script fails
 */
export async function runScript(job: RunningJob, log: StepLog, order: ScriptOrder): Promise<Record<string, string>> {
  const outputs: Record<string, string> = {};
  const files = makeEnvironmentFiles(job.workspace.temp, randomUUID());
  const environment = { ...job.environment(order.env), ...files };
  const reader = new OutputReader(
    {
      print: (line) => log.print(line),
      annotate: (annotation) => job.annotations.push(annotation),
      mask: (value) => {
        if (value.trim() !== '') job.masks.add(value);
      },
      setOutput: (name, value) => {
        outputs[name] = value;
      },
    },
    { isHook: order.isHook, debug: environment['ACTIONS_STEP_DEBUG'] === 'true' },
  );
  const folder = order.workingDirectory ?? '.';
  const code = await runProcess({
    file: order.shell.file,
    args: toArguments(order.shell, order.script),
    env: environment,
    cwd: isAbsolute(folder) ? folder : join(job.workspace.githubWorkspace, folder),
    onLine: (line) => reader.read(line),
    stop: order.stop,
    graceMs: job.message.cancelGraceMs,
  });
  const written = readEnvironmentFiles(files);
  for (const [name, value] of written.env) job.env.set(name, value);
  job.pathAdditions.push(...written.path);
  job.summary += written.summary;
  if (!order.isHook) Object.assign(outputs, Object.fromEntries(written.output));
  if (order.stop.aborted) throw new Error('The operation was canceled.');
  if (code !== 0) throw new Error(`Process completed with exit code ${code ?? 143}.`);
  return outputs;
}
