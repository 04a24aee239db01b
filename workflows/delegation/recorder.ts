import { CancellationScope } from '@temporalio/workflow';

/**
 * Records what happens in the background, in order: the workflow goes on although the bus does not answer. What gathers while one
 * activity is running goes into the next one together.
 */
export class Recorder<T> {
  readonly #record: (records: T[]) => Promise<unknown>;
  #waiting: T[];
  #recording: T[] = [];
  #running: Promise<void> | undefined;

  /**
   * @param record an activity; recording the same again changes nothing
   * @param waiting what an earlier run of the workflow has left
   */
  constructor(record: (records: T[]) => Promise<unknown>, waiting: readonly T[] = []) {
    this.#record = record;
    this.#waiting = [...waiting];
  }

  /** Whether no activity is running. */
  get isQuiet(): boolean {
    return this.#running === undefined;
  }

  /** @param later whether it may wait for the next record, or for {@link Recorder.finish} */
  add(record: T, { later }: { later: boolean }): void {
    this.#waiting.push(record);
    if (!later) this.#start();
  }

  /** Resolves when everything is recorded. */
  async finish(): Promise<void> {
    this.#start();
    await this.#running;
  }

  /** What is not known to be recorded. */
  toState(): T[] {
    return [...this.#recording, ...this.#waiting];
  }

  #start(): void {
    if (this.#waiting.length === 0) return;
    // A cancelled workflow is recorded, too.
    this.#running ??= CancellationScope.nonCancellable(() => this.#recordAll());
  }

  async #recordAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      this.#recording = this.#waiting;
      this.#waiting = [];
      await this.#record(this.#recording);
    }
    this.#recording = [];
    this.#running = undefined;
  }
}
