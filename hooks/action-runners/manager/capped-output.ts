import { TextTail } from '../../lib/text-tail.ts';

/** So much of an action's output is logged, bytes. After that, only the tail is kept for the last report. */
export const MAX_OUTPUT_BYTES = 16 * 1024 ** 2;

/** The end of the output that is part of the last report, bytes. */
const MAX_TAIL_BYTES = 8192;

/**
 * Writes what an action prints to the log, up to a limit: a job that prints a gigabyte must not fill the disk or the
 * memory of its instance. The forge keeps the job's full log; this one is for finding out why a runner failed.
 */
export class CappedOutput {
  readonly #write: (text: string) => void;
  readonly #tail = new TextTail(MAX_TAIL_BYTES);
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

  /** Adds a line to the tail alone, because it is in the log already. */
  addToTail(text: string): void {
    this.#tail.add(text);
  }

  /** The end of the output, at most 8 KiB. */
  readTail(): string {
    return this.#tail.toString();
  }
}
