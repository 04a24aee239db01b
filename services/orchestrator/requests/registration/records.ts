import { randomUUID } from 'node:crypto';
import { decode, openBucket, writeRevision, type Bus, type RevisionBucket } from '../../../../contracts/lib/nats.ts';
import { STREAMS } from '../../../../contracts/messages/streams.ts';
import { getErrorMessage } from '../../../../contracts/errors.ts';
import type { Logger } from '../../../../contracts/lib/log.ts';
import { CLAIM_MS, decideClaim, registrationRecord, type ClaimDecision, type RegistrationRecord } from './claim.ts';

/** Attempts to write a record that other orchestrators change at the same time. */
const MAX_ATTEMPTS = 10;
/** So many runners are remembered without a bucket; the oldest are forgotten first. */
const MAX_REMEMBERED = 10_000;

/** What the records need of a NATS bucket. */
export interface RecordBucket extends RevisionBucket {
  get(key: string): Promise<{ value: Uint8Array; revision: number } | null>;
}

type Refused = Exclude<ClaimDecision, { claim: 'granted' }>;

/** The right to ask the forge for one runner. It is extended until {@link Claim.end}. */
export interface Claim {
  readonly record: Readonly<RegistrationRecord>;
  /**
   * Gives the right back, and writes what has happened to the record.
   *
   * @returns false where another orchestrator has taken the right over: nothing may be given out then
   */
  end(change: Partial<RegistrationRecord>): Promise<boolean>;
}

/**
 * The records of registrations in the NATS bucket that all orchestrators share. Where the bucket can't be reached, this
 * orchestrator goes by what it knows alone: a runner is registered all the same.
 */
export class RegistrationRecords {
  readonly #owner = randomUUID();
  readonly #bucket: RecordBucket | undefined;
  readonly #log: Logger;
  /** The clock of all orchestrators, milliseconds since the epoch. */
  readonly now: () => number;
  readonly #alone = new Map<string, RegistrationRecord>();

  /**
   * @param bucket undefined: this orchestrator is alone
   * @param now the clock of all orchestrators, milliseconds since the epoch
   */
  constructor(bucket: RecordBucket | undefined, log: Logger, now: () => number = Date.now) {
    this.#bucket = bucket;
    this.#log = log;
    this.now = now;
  }

  /** Opens the bucket of the forge's limits. */
  static async open(bus: Bus, log: Logger, now: () => number): Promise<RegistrationRecords> {
    try {
      const bucket = await openBucket(bus, STREAMS.forge, 2000);
      return new RegistrationRecords(bucket, log, now);
    } catch (error) {
      log.warn({ reason: getErrorMessage(error) }, 'registrations are not shared with other orchestrators');
      return new RegistrationRecords(undefined, log, now);
    }
  }

  /** Claims the right to ask the forge for a runner. See {@link decideClaim}. */
  async claim(runner: string, request: { attempt: number; keeps: number }): Promise<Claim | Refused> {
    let decision: ClaimDecision | undefined;
    const written = await this.#change(runner, undefined, (known) => {
      decision = decideClaim(known, { owner: this.#owner, ...request }, this.now());
      return decision.claim === 'granted' ? decision.record : undefined;
    });
    if (decision?.claim !== 'granted') {
      return decision ?? { claim: 'later', retryAfterMs: 1000, reason: 'other orchestrators keep asking for it' };
    }
    if (written === 'outrun') {
      return { claim: 'later', retryAfterMs: 1000, reason: 'other orchestrators keep asking for it' };
    }
    return this.#hold(runner, decision.record, written);
  }

  /** Extends a claim until it ends. */
  #hold(runner: string, record: RegistrationRecord, firstRevision: Revision): Claim {
    let revision = firstRevision;
    let lost = false;
    let turn = Promise.resolve();
    const writeNow = async (change: Partial<RegistrationRecord>): Promise<void> => {
      if (lost) return;
      Object.assign(record, change);
      const written = await this.#change(runner, revision, () => ({ ...record }));
      if (written === 'outrun') lost = true;
      else revision = written;
    };
    // One after the other: each needs the revision of the one before.
    const write = async (change: Partial<RegistrationRecord>): Promise<void> => {
      const before = turn;
      turn = before.then(() => writeNow(change));
      await turn;
    };
    const extending = setInterval(() => void write({ askingUntil: this.now() + CLAIM_MS }), CLAIM_MS / 3);
    extending.unref();
    return {
      record,
      end: async (change) => {
        clearInterval(extending);
        await write({ ...change, askingUntil: 0 });
        return !lost;
      },
    };
  }

  /**
   * Changes a record where it has that revision; without a revision, whichever it has.
   *
   * @returns its new revision; `outrun` where another orchestrator changed it first
   */
  async #change(
    runner: string,
    revision: Revision,
    change: (known: RegistrationRecord | undefined) => RegistrationRecord | undefined,
  ): Promise<Revision | 'outrun'> {
    const key = `runner.${runner}`;
    if (this.#bucket === undefined) return this.#changeAlone(runner, change);
    try {
      if (revision !== undefined) return await this.#write(key, change(undefined), revision);
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        // Most runners ask once: there is no record yet, and no need to look for one.
        const entry = attempt === 0 ? null : await this.#bucket.get(key);
        const known = entry === null ? undefined : registrationRecord.safeParse(decode(entry.value)).data;
        const record = change(known);
        if (record === undefined) return undefined;
        const written = await this.#write(key, record, entry?.revision ?? 0);
        if (written !== 'outrun') return written;
      }
      return 'outrun';
    } catch (error) {
      this.#log.debug({ runner, reason: getErrorMessage(error) }, 'shared registration record unreachable');
      return this.#changeAlone(runner, change);
    }
  }

  async #write(key: string, record: RegistrationRecord | undefined, revision: number): Promise<Revision | 'outrun'> {
    if (record === undefined || this.#bucket === undefined) return undefined;
    return (await writeRevision(this.#bucket, key, record, revision)) ?? 'outrun';
  }

  #changeAlone(
    runner: string,
    change: (known: RegistrationRecord | undefined) => RegistrationRecord | undefined,
  ): undefined {
    const record = change(this.#alone.get(runner));
    if (record === undefined) return undefined;
    this.#alone.delete(runner);
    this.#alone.set(runner, record);
    const [oldest] = this.#alone.keys();
    if (this.#alone.size > MAX_REMEMBERED && oldest !== undefined) this.#alone.delete(oldest);
    return undefined;
  }
}

/** Undefined: the record is in this process only. */
type Revision = number | undefined;
