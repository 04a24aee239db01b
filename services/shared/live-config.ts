import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { parseConfig, parseRawConfig, readConfigText } from '../../contracts/lib/load-config.ts';
import { config, type Config } from '../../contracts/config/config.ts';
import { formatDuration } from '../../contracts/format.ts';
import { hashConfig } from '../../contracts/lib/config-hash.ts';
import { describeWrongFields } from '../../contracts/lib/schema-errors.ts';
import type { FileContent } from './newest-config/decide.ts';

/** Keys that take effect only in a new process: they name it, its connections and its credentials. */
const FIXED = ['name', 'forge', 'webhook', 'ingress', 'admin', 'temporal', 'nats'] as const;

/** The result of reading the file again. */
export interface Reload {
  changed: boolean;
  /** Of the file's content: equal hashes mean equal configurations. */
  hash: string;
  groups: number;
  /** Keys that changed, but take effect only when this process is restarted. */
  needsRestart: string[];
  /** Whether another process has a newer file, which this one uses, too. */
  older: boolean;
}

type NewestContent = Pick<FileContent, 'hash' | 'version' | 'content'>;

/** A configuration file as it was read. */
interface OwnFile {
  parsed: Config;
  /** Before any default is filled in. */
  raw: Record<string, unknown>;
  content: FileContent;
}

/**
 * The configuration of a running service: its file, read again on SIGHUP and `baton apply`; or a newer one that another process
 * has, apart from the keys that concern one process only.
 */
export class LiveConfig {
  readonly file: string;
  /** The keys that concern one process only, as they were at the start. */
  readonly #fixed: Pick<Config, (typeof FIXED)[number]>;
  readonly #rawFixed: Record<string, unknown>;
  /** As it was read last, changed keys that need a restart included. */
  #read: OwnFile;
  /** Of this process' own file. */
  #own: Config;
  #current: Config;
  /** Where it is not that of this process' file. */
  #newest: Omit<NewestContent, 'content'> | undefined;
  #problem: string | undefined;
  #last: Promise<unknown> = Promise.resolve();
  readonly #listeners: ((config: Config) => Promise<void>)[] = [];
  #notified: Promise<unknown> = Promise.resolve();
  #isNotifying = false;
  /** Listeners have not received the current configuration yet. */
  #isDue = false;
  #compare: ((applied: boolean) => Promise<void>) | undefined;

  /** @throws BatonError CONFIG_UNREADABLE; ConfigError */
  constructor(file: string) {
    this.file = file;
    this.#read = readOwnFile(file);
    const { name, forge, webhook, ingress, admin, temporal, nats } = this.#read.parsed;
    this.#fixed = { name, forge, webhook, ingress, admin, temporal, nats };
    this.#rawFixed = Object.fromEntries(Object.entries(this.#read.raw).filter(([key]) => isFixed(key)));
    this.#own = this.#read.parsed;
    this.#current = this.#own;
  }

  get current(): Config {
    return this.#current;
  }

  /** Of this process' own file. */
  get fileContent(): FileContent {
    return this.#read.content;
  }

  /** Why this process can't use the newest configuration, which is not its own: it then decides nothing that others decide, too. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Says that this process' file is older than the newest configuration, and what follows; null where it is the newest. */
  get notice(): string | null {
    if (this.#newest === undefined) return null;
    const older = `the file ${this.file} on ${hostname()} is older than the newest configuration`;
    if (this.#problem !== undefined) {
      return `${older}, which this version of Baton cannot read (${this.#problem}): this process changes no group until it is updated`;
    }
    const instead = `${older}, which is used instead; the file is used at once after baton apply`;
    // A lower version stays older, however long.
    if ((this.#read.content.version ?? Infinity) < (this.#newest.version ?? -Infinity)) return instead;
    return `${instead}, or when no process has had the newest for ${formatDuration(this.#current.rollback_after)}`;
  }

  /** Calls the listener with the current configuration on each {@link LiveConfig.notify}. */
  onChange(listener: (config: Config) => Promise<void>): void {
    this.#listeners.push(listener);
  }

  /** @param compare calls {@link LiveConfig.use}, each time that the file was read; `applied`: somebody applies just this content */
  compareWith(compare: (applied: boolean) => Promise<void>): void {
    this.#compare = compare;
  }

  /** Whether the file still has the content that was read last. */
  isFileAsRead(): boolean {
    try {
      return readOwnFile(this.file).content.hash === this.#read.content.hash;
    } catch {
      return false;
    }
  }

  /** Uses a newer configuration than the file's; undefined: the file's own. Listeners are called by {@link LiveConfig.notify}. */
  use(newest: NewestContent | undefined): void {
    if (newest !== undefined && newest.hash === this.#newest?.hash) return;
    const before = this.#current;
    this.#newest = newest && { hash: newest.hash, version: newest.version };
    this.#problem = undefined;
    if (newest === undefined) this.#current = this.#own;
    else this.#useOther(newest.content);
    if (this.#current !== before) this.#isDue = true;
  }

  /** An older version of Baton may not know all keys: it then goes on with what it has. */
  #useOther(content: Record<string, unknown>): void {
    const result = config.safeParse({ ...content, ...this.#rawFixed });
    if (result.success) this.#current = { ...result.data, ...this.#fixed };
    else this.#problem = describeWrongFields(result.error);
  }

  /**
   * Reads the file again; one reload at a time. An invalid file changes nothing. Listeners are called even if the file has not
   * changed: they are idempotent, and may have failed the last time.
   *
   * @param isApplied whether somebody applies the content with that hash now, even if it is older
   * @throws BatonError CONFIG_UNREADABLE; ConfigError; BUS_UNAVAILABLE: the file is used when NATS answers again; what listeners throw
   */
  reload(isApplied: (hash: string) => boolean = () => false): Promise<Reload> {
    const next = this.#last.then(() => this.#reload(isApplied));
    this.#last = next.catch(() => undefined);
    return next;
  }

  async #reload(isApplied: (hash: string) => boolean): Promise<Reload> {
    const read = readOwnFile(this.file);
    const { parsed } = read;
    const hash = hashConfig(parsed);
    const needsRestart = FIXED.filter((key) => hashConfig(parsed[key]) !== hashConfig(this.#fixed[key]));
    const changed = hash !== hashConfig(this.#read.parsed);
    this.#read = read;
    this.#own = { ...parsed, ...this.#fixed };
    if (this.#compare === undefined) this.use(undefined);
    else await this.#compare(isApplied(hash));
    await this.notify();
    return { changed, hash, groups: parsed.groups.length, needsRestart, older: this.#newest !== undefined };
  }

  /** Calls the listeners where the configuration has changed since they were called; does nothing while they are being called. */
  async notifyChange(): Promise<void> {
    if (this.#isDue && !this.#isNotifying) await this.notify();
  }

  /** Calls the listeners with the current configuration, one call after the other. @throws what listeners throw */
  notify(): Promise<void> {
    const next = this.#notified.then(() => this.#callListeners());
    this.#notified = next.catch(() => undefined);
    return next;
  }

  async #callListeners(): Promise<void> {
    const { current } = this;
    this.#isNotifying = true;
    try {
      for (const listener of this.#listeners) await listener(current);
      if (current === this.current) this.#isDue = false;
    } finally {
      this.#isNotifying = false;
    }
  }
}

const isFixed = (key: string): boolean => FIXED.some((fixed) => fixed === key);

/** @throws BatonError CONFIG_UNREADABLE; ConfigError */
function readOwnFile(path: string): OwnFile {
  const text = readConfigText(path);
  const parsed = parseConfig(text, path);
  const raw = parseRawConfig(text, path);
  const content = Object.fromEntries(Object.entries(raw).filter(([key]) => !isFixed(key)));
  const file = `${hostname()}:${resolve(path)}`;
  return { parsed, raw, content: { hash: hashConfig(content), version: parsed.version ?? null, content, file } };
}
