import type { z } from 'zod';
import type { Logger } from '../../../contracts/lib/log.ts';

/** What the Manager passes to an ActionRunner with every call. */
export interface ExecutionContext {
  /**
   * The action's name (`RUNNER_CONTEXT_NAME`). Containers and workflows are named after it, so that they can be found
   * again.
   */
  readonly name: string;
  /** `RUNNER_CONTEXT_PLATFORM_*` without that prefix; on Kubernetes `NAMESPACE` and `SERVICE_ACCOUNT_NAME`. */
  readonly platform: Readonly<Record<string, string>>;
  /** Fires at the timeout, or when the Manager is stopped: end what was started within {@link STOP_GRACE_MS} then. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Takes what the action prints: whole lines, secrets masked. The Manager decides how much of it is logged. */
  output(text: string): void;
}

/** What is known once an action has been started: small, JSON, no secrets; reported as it is. */
export interface StartOutput {
  status?: Readonly<Record<string, unknown>> | undefined;
}

/** How an action ended. */
export interface CompletionOutput {
  succeeded: boolean;
  /** One clause for people: `the script ended with code 3`. */
  message: string;
  /** If the action is a program. */
  exit?: ProgramExit | undefined;
}

/** How a program ended: its exit code, or the signal that killed it. */
export interface ProgramExit {
  code: number | null;
  signal: string | null;
}

/**
 * Runs actions of one kind, and does nothing else: the {@link ../manager/manager.ts Manager} reads the input, sends the
 * reports, enforces the timeout and handles SIGTERM. One object runs one action.
 * Source: the action-runner model, `ActionRunner { Name, Start, WaitForCompletion }`.
 */
export interface ActionRunner<Input = unknown> {
  /** The word after `baton action-runner`. */
  readonly name: string;
  /** The schema of the input manifest, which the Manager parses before it starts anything. */
  readonly input: z.ZodType<Input>;

  /**
   * Starts the action. If what runs it outlives its Manager (a container, a workflow), a second start under the same
   * context name finds it and starts nothing.
   *
   * @throws BatonError if it cannot be started; nothing is left running then
   */
  start(context: ExecutionContext, input: Input): Promise<StartOutput>;

  /**
   * Waits until the action has ended. When `context.signal` fires, ends it and removes what it created.
   *
   * @throws BatonError if it is not known how the action ended
   */
  waitForCompletion(context: ExecutionContext, input: Input): Promise<CompletionOutput>;
}

/** Between SIGTERM and SIGKILL for what an ActionRunner started. Backends give the agent more time than this. */
export const STOP_GRACE_MS = 5000;
