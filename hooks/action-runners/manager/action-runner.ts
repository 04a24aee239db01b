import type { z } from 'zod';
import type { Logger } from '../../../contracts/lib/log.ts';

/** What the Manager tells an ActionRunner about its execution, with every call. */
export interface ExecutionContext {
  /** The action's name (`RUNNER_CONTEXT_NAME`): what an ActionRunner makes carries it, so that it is found again. */
  readonly name: string;
  /** `RUNNER_CONTEXT_PLATFORM_*` without that prefix; on Kubernetes `NAMESPACE` and `SERVICE_ACCOUNT_NAME`. */
  readonly platform: Readonly<Record<string, string>>;
  /** Fires when the time is over or the Manager is stopped: what was started must be ended then, within {@link STOP_GRACE_MS}. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Passes on what the action prints: whole lines, secrets masked. How much of it is logged is the Manager's business. */
  output(text: string): void;
}

/** What is known once an action has been started: small, JSON, no secrets; reported as it is. */
export interface StartOutput {
  status?: Readonly<Record<string, unknown>> | undefined;
}

/** How an action ended. */
export interface CompletionOutput {
  succeeded: boolean;
  /** One clause for a person: `the script ended with code 3`. */
  message: string;
  /** Where a program ended. */
  exit?: ProgramExit | undefined;
}

export interface ProgramExit {
  code: number | null;
  signal: string | null;
}

/**
 * Runs actions of one kind, and knows nothing but its own business: the {@link ../manager/manager.ts Manager} reads the input,
 * reports, keeps the time and listens to SIGTERM. One object runs one action.
 * Source: the action-runner model, `ActionRunner { Name, Start, WaitForCompletion }`.
 */
export interface ActionRunner<Input = unknown> {
  /** A word: what stands after `baton action-runner`. */
  readonly name: string;
  /** What the input manifest must look like; the Manager parses it before anything is started. */
  readonly input: z.ZodType<Input>;

  /**
   * Starts the action. A second start under the same context name finds what the first one made, where that outlives its
   * Manager (a container, a workflow).
   *
   * @throws BatonError when it can't be started; nothing is left running then
   */
  start(context: ExecutionContext, input: Input): Promise<StartOutput>;

  /**
   * Waits until the action is over, and when `context.signal` fires, ends it and whatever it made.
   *
   * @throws BatonError when it can't be known how the action ended
   */
  waitForCompletion(context: ExecutionContext, input: Input): Promise<CompletionOutput>;
}

/** Between SIGTERM and SIGKILL for what an ActionRunner started, milliseconds; backends wait longer than this for the agent. */
export const STOP_GRACE_MS = 5000;
