import type { ExecutionContext, ProgramExit } from './action-runner.ts';

/** `timed-out`: it reached its timeout · `stopped`: the Manager received SIGTERM or SIGINT. */
export type ActionState = 'running' | 'succeeded' | 'failed' | 'timed-out' | 'stopped';

/** What is reported about an action: once when it runs, and once when it has ended. JSON; no secrets. */
export interface Report {
  state: ActionState;
  /** ISO 8601, by this machine's clock: for people. */
  at: string;
  /** One clause for people. */
  message: string;
  /** What the ActionRunner returned when it started the action. */
  status?: Readonly<Record<string, unknown>> | undefined;
  exit?: ProgramExit | undefined;
  /** The end of the output, at most 8 KiB, secrets masked. */
  logTail: string;
}

/**
 * Reports the state of an action to an engine, in the engine's own way. The Manager sends reports in order, one at a
 * time.
 */
export interface Reporter {
  readonly name: string;
  /**
   * @param abort when it fires, give up
   * @throws BatonError if the engine did not receive the report
   */
  report(context: Pick<ExecutionContext, 'name' | 'platform'>, report: Report, abort: AbortSignal): Promise<void>;
}
