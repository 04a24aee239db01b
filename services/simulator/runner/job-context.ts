import type { ExpressionScope } from '../expression.ts';
import type { Conclusion, JobAnnotation, JobMessage, StepReport } from '../protocol.ts';
import { StepLog } from './step-log.ts';
import type { Workspace } from './workspace.ts';

/** Why a job is being stopped: a cancellation, its time limit, the shutdown of this program, or the server took the job away. */
export type StopReason = 'cancelled' | 'timeout' | 'shutdown' | 'lost';

/** The state of a job while it runs. */
export class RunningJob {
  readonly message: JobMessage;
  readonly workspace: Workspace;
  /** GITHUB_* and RUNNER_* variables. */
  readonly defaults: Record<string, string>;
  /** The `env` of workflow and job, and what GITHUB_ENV added. */
  readonly env = new Map<string, string>();
  readonly pathAdditions: string[] = [];
  readonly masks = new Set<string>();
  readonly annotations: JobAnnotation[] = [];
  readonly outcomes = new Map<
    string,
    { outcome: Conclusion; conclusion: Conclusion; outputs: Record<string, string> }
  >();
  summary = '';
  /** The result without regard to a stop; {@link RunningJob.status} includes it. */
  result: 'success' | 'failure' = 'success';
  readonly #stopping = new AbortController();
  readonly #send: (report: StepReport) => Promise<void>;
  #lastNumber = 0;

  constructor(
    message: JobMessage,
    workspace: Workspace,
    defaults: Record<string, string>,
    send: (report: StepReport) => Promise<void>,
  ) {
    this.message = message;
    this.workspace = workspace;
    this.defaults = defaults;
    this.#send = send;
  }

  get stopReason(): StopReason | undefined {
    const reason: unknown = this.#stopping.signal.reason;
    return reason === 'cancelled' || reason === 'timeout' || reason === 'shutdown' || reason === 'lost'
      ? reason
      : undefined;
  }

  get stopSignal(): AbortSignal {
    return this.#stopping.signal;
  }

  get status(): 'success' | 'failure' | 'cancelled' {
    // GitHub's worker fails the job when its runner is shut down, and cancels it for every other reason.
    if (this.stopReason === 'shutdown') return 'failure';
    return this.stopReason === undefined ? this.result : 'cancelled';
  }

  stop(reason: StopReason): void {
    this.#stopping.abort(reason);
  }

  newStep(name: string): StepLog {
    return new StepLog(++this.#lastNumber, name, this.masks, this.#send);
  }

  fail(log: StepLog, message: string): void {
    log.print(`##[error]${message}`);
    this.annotations.push({ level: 'failure', message });
  }

  /** The environment of a step or hook: the runner's own, then the job's, then the default variables, where the last one wins. */
  environment(extra: Record<string, string> = {}): Record<string, string> {
    const own = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const merged = { ...Object.fromEntries(own), ...Object.fromEntries(this.env), ...extra, ...this.defaults };
    const path = [...this.pathAdditions.toReversed(), merged['PATH'] ?? ''].filter((part) => part !== '').join(':');
    return { ...merged, PATH: path };
  }

  /** The contexts and functions for expressions of this job's steps. */
  scope(status = this.status): ExpressionScope {
    return {
      contexts: {
        github: { ...this.message.github, job: this.message.key, workspace: this.workspace.githubWorkspace },
        matrix: this.message.matrix,
        env: Object.fromEntries(this.env),
        runner: { name: this.defaults['RUNNER_NAME'], os: this.defaults['RUNNER_OS'], temp: this.workspace.temp },
        job: { status },
        steps: Object.fromEntries(this.outcomes),
      },
      functions: {
        always: () => true,
        success: () => status === 'success',
        failure: () => status === 'failure',
        cancelled: () => status === 'cancelled',
      },
    };
  }
}
