import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { ExecutionContext } from './action-runner.ts';
import type { Report, Reporter } from './report.ts';
import { createTimeoutSignal, waitForAbort } from './timer.ts';

/** How long the last report may take after SIGTERM: whoever sent it will send SIGKILL soon. */
const REPORT_AFTER_STOP_TIMEOUT_MS = 2000;
/** How long the last report may take otherwise. */
const REPORT_TIMEOUT_MS = 60_000;

export interface ReportQueueOptions {
  reporter: Reporter;
  log: Logger;
  /** Fires at SIGTERM. */
  stop: AbortSignal;
  /** Fires when the last report is no longer of use. Default: a minute after {@link ReportQueue.flush}. */
  reportUntil?: AbortSignal | undefined;
}

/** Sends reports in order, one at a time. A report that fails is logged, and the next one is sent. */
export class ReportQueue {
  readonly #context: ExecutionContext;
  readonly #options: ReportQueueOptions;
  readonly #giveUp = new AbortController();
  #sent: Promise<void> = Promise.resolve();

  constructor(context: ExecutionContext, options: ReportQueueOptions) {
    this.#context = context;
    this.#options = options;
  }

  add(content: Omit<Report, 'at'>): void {
    const { reporter, log } = this.#options;
    const report: Report = { ...content, at: new Date().toISOString() };
    this.#sent = this.#sent
      .then(() => reporter.report(this.#context, report, this.#giveUp.signal))
      .catch((error: unknown) =>
        log.warn({ code: getErrorCode(error), reporter: reporter.name }, getErrorMessage(error)),
      );
  }

  /** Waits until all reports have been sent. When the time for them is over, makes the reporter give up instead. */
  async flush(): Promise<void> {
    const { stop, reportUntil } = this.#options;
    const stopped = waitForAbort(stop).then(() => waitForAbort(createTimeoutSignal(REPORT_AFTER_STOP_TIMEOUT_MS)));
    const timedOut = waitForAbort(reportUntil ?? createTimeoutSignal(REPORT_TIMEOUT_MS));
    const gaveUp = Promise.race([stopped, timedOut]).then(() => this.#giveUp.abort());
    await Promise.race([this.#sent, gaveUp]);
  }
}

export function getErrorCode(error: unknown): string | undefined {
  return error instanceof BatonError ? error.code : undefined;
}
