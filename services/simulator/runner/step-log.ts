import type { Conclusion, StepReport } from '../protocol.ts';

/** Lines are sent together, after this time. */
const FLUSH_DELAY_MS = 200;

/** Reports a step to the server: its state and its lines, with secrets masked. */
export class StepLog {
  #lines: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  readonly #state: Omit<StepReport, 'lines'>;
  readonly #send: (report: StepReport) => Promise<void>;
  readonly #masks: ReadonlySet<string>;

  constructor(number: number, name: string, masks: ReadonlySet<string>, send: (report: StepReport) => Promise<void>) {
    const startedAt = new Date().toISOString();
    this.#state = { number, name, status: 'in_progress', conclusion: null, startedAt, completedAt: null };
    this.#masks = masks;
    this.#send = send;
    this.#flush();
  }

  print(text: string): void {
    let line = text;
    for (const mask of this.#masks) line = line.replaceAll(mask, '***');
    this.#lines.push(line);
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_DELAY_MS);
  }

  /** Ends the step; resolves when the server has the report. */
  async end(conclusion: Conclusion): Promise<void> {
    Object.assign(this.#state, { status: 'completed', conclusion, completedAt: new Date().toISOString() });
    this.#flush();
    await this.#sending;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const report = { ...this.#state, lines: this.#lines };
    this.#lines = [];
    // One after the other. A server that refuses a report has ended this job itself.
    this.#sending = this.#sending.then(() => this.#send(report)).catch(() => undefined);
  }
}
