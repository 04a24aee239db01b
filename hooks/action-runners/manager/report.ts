import type { ExecutionContext, ProgramExit } from './action-runner.ts';

/** `timed-out`: its time was over · `stopped`: the Manager got SIGTERM or SIGINT. */
export type ActionState = 'running' | 'succeeded' | 'failed' | 'timed-out' | 'stopped';

/** What is told about an action: once when it runs, once when it is over. JSON; no secrets. */
export interface Report {
  state: ActionState;
  /** ISO 8601, this machine's clock: for people. */
  at: string;
  /** One clause for a person. */
  message: string;
  /** What the ActionRunner said of what it started. */
  status?: Readonly<Record<string, unknown>> | undefined;
  exit?: ProgramExit | undefined;
  /** The end of what it printed, at most 8 kB, secrets masked. */
  logTail: string;
}

/** Tells an engine how an action does, in the way that this engine understands. Reports come in order, one at a time. */
export interface Reporter {
  readonly name: string;
  /**
   * @param abort when it fires, trying on is no use any more
   * @throws BatonError when the engine does not have the report
   */
  report(context: Pick<ExecutionContext, 'name' | 'platform'>, report: Report, abort: AbortSignal): Promise<void>;
}
