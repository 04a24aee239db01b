import { TextTail } from '../../lib/text-tail.ts';

/** Bytes of an action's output that are logged; of what comes after, only the tail is kept. */
export const MAX_OUTPUT_BYTES = 16 * 1024 ** 2;

/** Bytes of output that go out with the last report. */
const TAIL_BYTES = 8192;

/**
 * What an action prints, on its way to the log: a job that prints a gigabyte fills neither the disk nor the memory of its
 * instance with it. Forges keep their jobs' logs themselves; this one is for finding out why a runner failed.
 */
export class Output {
  readonly #write: (text: string) => void;
  readonly #tail = new TextTail(TAIL_BYTES);
  #logged = 0;
  /** Bytes that were not logged. */
  omitted = 0;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  add(text: string): void {
    this.#tail.add(text);
    const bytes = Buffer.byteLength(text);
    if (this.omitted > 0 || this.#logged + bytes > MAX_OUTPUT_BYTES) {
      if (this.omitted === 0)
        this.#write(`Baton: more than ${MAX_OUTPUT_BYTES / 1024 ** 2} MiB of output; the rest is not logged\n`);
      this.omitted += bytes;
      return;
    }
    this.#logged += bytes;
    this.#write(text);
  }

  /** Adds to the end of it what the log says already. */
  note(text: string): void {
    this.#tail.add(text);
  }

  /** The end of it all, at most 8 kB. */
  end(): string {
    return this.#tail.toString();
  }
}
