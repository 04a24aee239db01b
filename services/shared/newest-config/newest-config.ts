import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';
import type { Config } from '../../../contracts/config/config.ts';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { decode, encode, openBucket, writeRevision, type Bucket, type Bus } from '../../../contracts/lib/nats.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import type { LiveConfig } from '../live-config.ts';
import { configRecord, decideNewest, type ConfigRecord } from './decide.ts';
import { Silence } from './silence.ts';

/** The newest configuration. Short names: a credential has to fit into one line of NATS' protocol. */
const NEWEST_KEY = 'config.newest';
/** Written again and again by processes whose file has the newest content. */
const ALIVE_KEY = 'config.alive';
const MAX_ATTEMPTS = 20;
const REQUEST_TIMEOUT_MS = 5000;
const INTERVAL_MS = 1000;
const MIN_INTERVAL_MS = 100;
const ALIVE_INTERVAL_MS = 10_000;
/** Of a message to NATS, for its subject and headers. */
const OVERHEAD_BYTES = 1024;

/** {@link NewestConfig.read} */
export type ReadNewest = () => Promise<Config | undefined>;

export interface NewestConfigOptions {
  live: LiveConfig;
  metrics: Registry;
  log: Logger;
  /**
   * Whether this process' older file becomes the newest when no process has had the newest one for a while. Not for a relay: while no
   * orchestrator runs, groups are what they were.
   */
  mayRollBack: boolean;
}

/**
 * Makes all relays and orchestrators of an installation go by the newest configuration, also those whose own file is older: during
 * a rollout, none of them says what was true before. The newest configuration is in a NATS bucket.
 */
export class NewestConfig {
  readonly #live: LiveConfig;
  readonly #mayRollBack: boolean;
  readonly #log: Logger;
  readonly #older: Gauge;
  #bus: Bus | undefined;
  #bucket: Bucket | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** A comparison that has not begun yet: it serves everyone who asks meanwhile. */
  #next: Promise<void> | undefined;
  #known: ConfigRecord | undefined;
  readonly #firstKnown = Promise.withResolvers<void>();
  readonly #silence = new Silence();
  #aliveAt = -Infinity;
  #isReachable = true;
  #isTooLarge = false;
  #shown: string | undefined;

  constructor({ live, metrics, log, mayRollBack }: NewestConfigOptions) {
    this.#live = live;
    this.#mayRollBack = mayRollBack;
    this.#log = log;
    this.#older = new Gauge({
      registers: [metrics],
      name: 'baton_config_older',
      help: '1 while the configuration file of this process is older than the newest one, which it uses instead.',
    });
    this.#older.set(0);
    live.compareWith((applied) => this.#takeTurn(() => this.#compare(applied)));
  }

  /** Uses that connection's bucket from now on. */
  open(bus: Bus): void {
    this.#bus = bus;
    this.#bucket = undefined;
  }

  /** Whether this process has compared its file with the newest configuration at least once. */
  get isKnown(): boolean {
    return this.#known !== undefined;
  }

  /** Resolves when {@link NewestConfig.isKnown}; {@link NewestConfig.run} works on it. */
  untilKnown(): Promise<void> {
    return this.#firstKnown.promise;
  }

  /** Compares again and again, until `stop` fires. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      if (await this.#refresh()) {
        this.#live.notifyChange().catch((error: unknown) => {
          this.#log.warn({ reason: getErrorMessage(error) }, 'using the newest configuration failed; will retry');
        });
      }
      const interval = Math.min(INTERVAL_MS, this.#live.current.rollback_after / 5);
      await sleep(Math.max(MIN_INTERVAL_MS, interval), undefined, { signal: stop }).catch(() => undefined);
    }
  }

  /**
   * The newest configuration of all processes, as it is now.
   *
   * @returns undefined where it is not known: NATS does not answer, or this version of Baton can't read it
   */
  async read(): Promise<Config | undefined> {
    return (await this.#refresh()) && this.#live.problem === undefined ? this.#live.current : undefined;
  }

  /** @returns false where NATS does not answer */
  async #refresh(): Promise<boolean> {
    this.#next ??= this.#takeTurn(() => {
      this.#next = undefined;
      return this.#compare(false);
    });
    return await this.#next.then(
      () => true,
      () => false,
    );
  }

  #takeTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  /** @throws BatonError BUS_UNAVAILABLE: nothing changes then */
  async #compare(applied: boolean): Promise<void> {
    try {
      await this.#compareOnce(applied);
      this.#isReachable = true;
    } catch (error) {
      const reason = getErrorMessage(error);
      // It may have been lost with its server's disk. Whether others have the newest configuration can't be seen now.
      this.#bucket = undefined;
      this.#silence.reset();
      if (this.#isReachable) this.#log.warn({ reason }, 'the newest configuration cannot be read; will retry');
      this.#isReachable = false;
      throw new BatonError('BUS_UNAVAILABLE', `comparing the configuration with the newest one: ${reason}`, {
        cause: error,
      });
    }
  }

  async #compareOnce(applied: boolean): Promise<void> {
    if (this.#bus === undefined) throw new Error('NATS is not connected yet');
    const bucket = (this.#bucket ??= await openBucket(this.#bus, STREAMS.groups, REQUEST_TIMEOUT_MS));
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { record: stored, revision } = await this.#read(bucket);
      // Where the record is lost or damaged, any process that knows it writes it again.
      const record = stored ?? this.#known;
      const own = this.#live.fileContent;
      const isOther = record !== undefined && record.hash !== own.hash;
      const next = decideNewest(record, own, {
        applied,
        changedBack: isOther && record.files.includes(own.file) && this.#live.isFileAsRead(),
        abandoned: this.#mayRollBack && isOther && (await this.#isAbandoned(bucket, revision)),
      });
      if (next !== stored && !this.#fits(next)) return await this.#use({ ...next, ...own });
      if (next !== stored && (await writeRevision(bucket, NEWEST_KEY, next, revision)) === undefined) continue;
      if (next.hash === own.hash) await this.#showAlive(bucket);
      return await this.#use(next);
    }
    throw new Error(`other processes changed it ${MAX_ATTEMPTS} times in a row`);
  }

  async #read(bucket: Bucket): Promise<{ record: ConfigRecord | undefined; revision: number }> {
    const entry = await bucket.get(NEWEST_KEY);
    if (entry === null) return { record: undefined, revision: 0 };
    return { record: parseRecord(entry.value), revision: entry.revision };
  }

  /** Whether this process has seen no sign of any process with the newest configuration for that long. */
  async #isAbandoned(bucket: Bucket, revision: number): Promise<boolean> {
    const alive = await bucket.get(ALIVE_KEY);
    const { rollback_after: limit } = this.#live.current;
    return this.#silence.measure(`${revision}/${alive?.revision ?? 0}`, performance.now(), limit / 2) > limit;
  }

  async #showAlive(bucket: Bucket): Promise<void> {
    const now = performance.now();
    const interval = Math.min(ALIVE_INTERVAL_MS, this.#live.current.rollback_after / 5);
    if (now - this.#aliveAt < interval) return;
    await bucket.put(ALIVE_KEY, encode({ at: new Date().toISOString() }));
    this.#aliveAt = now;
  }

  /** A file that NATS does not take can't be shared: each process then goes by its own. */
  #fits(record: ConfigRecord): boolean {
    const limit = (this.#bus?.info?.max_payload ?? Infinity) - OVERHEAD_BYTES;
    const bytes = encode(record).length;
    if (bytes <= limit) return true;
    if (!this.#isTooLarge) {
      const facts = { file: this.#live.file, bytes, limit };
      this.#log.error(facts, 'this configuration is too large for NATS (max_payload): other processes do not get it');
    }
    this.#isTooLarge = true;
    return false;
  }

  async #use(record: ConfigRecord): Promise<void> {
    const live = this.#live;
    const { hash: own, version } = live.fileContent;
    const isOlder = record.hash !== own;
    live.use(isOlder ? record : undefined);
    this.#known = record;
    this.#firstKnown.resolve();
    this.#older.set(isOlder ? 1 : 0);
    const shown = isOlder ? `${own} ${record.hash}` : own;
    if (shown === this.#shown) return;
    this.#shown = shown;
    const facts = { file: live.file, hash: own, version };
    if (live.notice === null) this.#log.info(facts, 'this configuration file is the newest one');
    else this.#log.warn({ ...facts, newest: { hash: record.hash, version: record.version } }, live.notice);
  }
}

/** @returns undefined where it is damaged or was deleted */
function parseRecord(value: Uint8Array): ConfigRecord | undefined {
  try {
    return configRecord.safeParse(decode(value)).data;
  } catch {
    return undefined;
  }
}
