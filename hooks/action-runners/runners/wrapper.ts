import { z } from 'zod';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { MaskedLines } from '../../lib/masked-lines.ts';
import type { ActionRunner, CompletionOutput, ExecutionContext, StartOutput } from '../manager/action-runner.ts';
import { loadAction } from '../../job-hooks/wrappers/action-file.ts';
import { runWrapperAction, type StandaloneResult } from '../../job-hooks/wrappers/run-standalone.ts';
import { collectSecretValues } from './secret-values.ts';

const HOUR_MS = 3_600_000;

const input = z.strictObject({
  /** The action's folder, with its `action.yml`. */
  folder: z.string().min(1),
  /** Its inputs. */
  with: z.record(z.string().min(1), z.string()).default({}),
  /** Added to the Manager's environment. */
  env: z.record(z.string().min(1), z.string()).default({}),
  /** Names of environment variables whose values are masked in the output. */
  secrets: z.array(z.string().min(1)).default([]),
  /** The timeout of each phase. */
  phase_seconds: z
    .number()
    .positive()
    .default(HOUR_MS / 1000),
});

type WrapperInput = z.infer<typeof input>;

/** Runs one wrapper action by itself, without a job: its pre, its main, and always its post. */
export class WrapperRunner implements ActionRunner<WrapperInput> {
  readonly name = 'wrapper';
  readonly input = input;
  #running: Promise<StandaloneResult> | undefined;

  async start(context: ExecutionContext, given: WrapperInput): Promise<StartOutput> {
    const action = await loadAction(given.folder);
    const env: Record<string, string> = { ...given.env, RUNNER_CONTEXT_NAME: context.name };
    for (const [key, value] of Object.entries(process.env)) {
      // The action must not use the Manager's credential.
      if (value !== undefined && key !== AGENT_ENV.natsCredentials) env[key] ??= value;
    }
    const lines = new MaskedLines(collectSecretValues(given.secrets, env), (text) => context.output(text));
    this.#running = runWrapperAction({
      folder: given.folder,
      inputs: given.with,
      env,
      timeoutMs: given.phase_seconds * 1000,
      signal: context.signal,
      onOutput: (line) => lines.push(Buffer.from(`${line}\n`)),
    });
    // waitForCompletion handles the error.
    this.#running.catch(() => undefined);
    return { status: { phases: Object.keys(action.phases) } };
  }

  async waitForCompletion(_context: ExecutionContext, given: WrapperInput): Promise<CompletionOutput> {
    if (this.#running === undefined) throw new BatonError('INTERNAL', 'waiting for a wrapper: it was never started');
    const { succeeded, problems } = await this.#running;
    return { succeeded, message: succeeded ? `${given.folder} succeeded` : problems.join('; ') };
  }
}
