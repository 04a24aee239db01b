import { loadConfig } from '../../contracts/lib/load-config.ts';
import type { Config } from '../../contracts/config/config.ts';
import { hashConfig } from '../../contracts/lib/config-hash.ts';

/** Keys that take effect only in a new process: they name it, its connections and its credentials. */
const FIXED = ['name', 'forge', 'webhook', 'temporal', 'nats'] as const;

/** The result of reading the file again. */
export interface Reload {
  changed: boolean;
  /** Of the file's content: equal hashes mean equal configurations. */
  hash: string;
  groups: number;
  /** Keys that changed, but take effect only when this process is restarted. */
  needsRestart: string[];
}

/** The configuration of a running service: read again on SIGHUP and `baton apply`. */
export class LiveConfig {
  readonly file: string;
  #current: Config;
  /** Of the file as it was read last, changed keys that need a restart included. */
  #hash: string;
  #last: Promise<unknown> = Promise.resolve();
  readonly #listeners: ((config: Config) => Promise<void>)[] = [];

  /** @throws BatonError CONFIG_UNREADABLE; ConfigError */
  constructor(file: string) {
    this.file = file;
    this.#current = loadConfig(file);
    this.#hash = hashConfig(this.#current);
  }

  get current(): Config {
    return this.#current;
  }

  /** Calls the listener after each reload, with the new configuration; {@link LiveConfig.reload} waits for it. */
  onChange(listener: (config: Config) => Promise<void>): void {
    this.#listeners.push(listener);
  }

  /**
   * Reads the file again; one reload at a time. An invalid file changes nothing. Listeners are called even if the file has not
   * changed: they are idempotent, and may have failed the last time.
   *
   * @throws BatonError CONFIG_UNREADABLE; ConfigError; what listeners throw
   */
  reload(): Promise<Reload> {
    const next = this.#last.then(() => this.#reload());
    this.#last = next.catch(() => undefined);
    return next;
  }

  async #reload(): Promise<Reload> {
    const read = loadConfig(this.file);
    const before = this.#current;
    const hash = hashConfig(read);
    const needsRestart = FIXED.filter((key) => hashConfig(read[key]) !== hashConfig(before[key]));
    const changed = hash !== this.#hash;
    const { name, forge, webhook, temporal, nats } = before;
    this.#current = { ...read, name, forge, webhook, temporal, nats };
    this.#hash = hash;
    for (const listener of this.#listeners) await listener(this.#current);
    return { changed, hash, groups: read.groups.length, needsRestart };
  }
}
