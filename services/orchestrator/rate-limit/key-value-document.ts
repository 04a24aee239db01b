import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import type { SharedDocument } from '../../../activities/lib/shared-document.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import { decode, writeRevision, type Bucket } from '../../../contracts/lib/nats.ts';
import type { Logger } from '../../../contracts/lib/log.ts';

/** Attempts to write a value that other processes change at the same time. */
const MAX_ATTEMPTS = 50;
const MAX_RETRY_DELAY_MS = 100;

export interface KeyValueDocumentOptions<T> {
  bucket: Bucket;
  /** As NATS allows it: A to Z, a to z, 0 to 9, `-`, `_`, `/`, `=`, and dots that are not side by side. */
  key: string;
  /** Of the stored value; a value of another shape, as an older version wrote it, is replaced. */
  schema: z.ZodType<T>;
  /** The value where none is stored. */
  empty: T;
  log: Logger;
}

/**
 * A value in a NATS key-value bucket, changed by compare and set. Without NATS each process goes on with the value that it knows,
 * and writes it when NATS is back.
 */
export class KeyValueDocument<T> implements SharedDocument<T> {
  readonly #options: KeyValueDocumentOptions<T>;
  #current: T;
  #readAt = 0;
  /** Of {@link #current} in the bucket; undefined: unknown. 0: nothing is stored. */
  #revision: number | undefined;
  /** One change at a time: the bucket accepts only one anyway. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: KeyValueDocumentOptions<T>) {
    this.#options = options;
    this.#current = options.empty;
  }

  get current(): T {
    return this.#current;
  }

  get readAt(): number {
    return this.#readAt;
  }

  async refresh(): Promise<void> {
    await this.#inTurn(async () => {
      try {
        this.#revision = await this.#read();
        this.#readAt = Date.now();
      } catch (error) {
        const { key, log } = this.#options;
        log.debug({ key, reason: getErrorMessage(error) }, 'shared value unreachable');
      }
    });
  }

  async change(change: (value: T) => T): Promise<T | undefined> {
    return await this.#inTurn(() => this.#change(change));
  }

  async #inTurn<R>(work: () => Promise<R>): Promise<R> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }

  async #change(change: (value: T) => T): Promise<T | undefined> {
    const { key, log } = this.#options;
    try {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        // Most often nobody else changed it since: then one message to NATS is enough.
        this.#revision ??= await this.#read();
        const changed = change(this.#current);
        const revision = await this.#write(changed, this.#revision);
        this.#revision = revision;
        if (revision !== undefined) {
          this.#current = changed;
          this.#readAt = Date.now();
          return changed;
        }
        // Without a random pause, two processes would collide again and again.
        await sleep(Math.random() * Math.min(MAX_RETRY_DELAY_MS, 2 ** attempt));
      }
      log.warn({ key }, 'shared value not changed: other processes kept changing it; trying again later');
      return undefined;
    } catch (error) {
      log.debug({ key, reason: getErrorMessage(error) }, 'shared value unreachable: continuing alone');
    }
    this.#revision = undefined;
    this.#readAt = Date.now();
    this.#current = change(this.#current);
    return this.#current;
  }

  /** @returns the revision in the bucket; 0: nothing is stored */
  async #read(): Promise<number> {
    const { bucket, key, schema, empty } = this.#options;
    const entry = await bucket.get(key);
    const stored = entry === null ? undefined : schema.safeParse(decode(entry.value)).data;
    this.#current = stored ?? empty;
    return entry?.revision ?? 0;
  }

  /** @returns the new revision; undefined when another process changed the value first */
  async #write(value: T, revision: number): Promise<number | undefined> {
    const { bucket, key } = this.#options;
    return await writeRevision(bucket, key, value, revision);
  }
}
