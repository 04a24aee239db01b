import { readFileSync } from 'node:fs';
import { Gauge, type Registry } from 'prom-client';
import { formatDuration } from '../../contracts/format.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { parseCredentials } from '../../contracts/lib/nats.ts';

const DAY_MS = 24 * 3_600_000;
/** How long before its end a credential is warned of. */
const WARN_MS = 14 * DAY_MS;
/** How often the file is looked at: it may have been renewed. */
const CHECK_INTERVAL_MS = 12 * 3_600_000;

export interface CredentialExpiryOptions {
  /** The credentials file for NATS; undefined: none is used. */
  file: string | undefined;
  log: Logger;
  metrics: Registry;
  /** The time, milliseconds since the epoch. Default: this machine's. */
  now?: () => number;
}

/** Shows when this service's NATS credential expires: in a metric, and from 14 days before in the log and in `/readyz`. */
export class CredentialExpiry {
  readonly #options: CredentialExpiryOptions;

  constructor(options: CredentialExpiryOptions) {
    this.#options = options;
    const read = (): number | undefined => this.#readExpiry();
    const gauge = new Gauge({
      name: 'baton_nats_credentials_expire_timestamp_seconds',
      help: 'When this service’s NATS credential expires, seconds since 1970; absent: never, or it has none',
      registers: [],
      collect() {
        const expiresAt = read();
        if (expiresAt === undefined) this.remove();
        else this.set(expiresAt / 1000);
      },
    });
    options.metrics.registerMetric(gauge);
  }

  /** What `/readyz` says of the credential; null: nothing. */
  get notice(): string | null {
    const { file, now = Date.now } = this.#options;
    const expiresAt = this.#readExpiry();
    if (expiresAt === undefined || expiresAt - now() > WARN_MS) return null;
    const date = new Date(expiresAt).toISOString();
    const left = expiresAt - now();
    const when = left > 0 ? `expires in ${formatDuration(left)}, at ${date}` : `expired at ${date}`;
    return `the NATS credential in ${file} ${when}: run \`baton setup accounts\` again, and replace the file`;
  }

  /** Warns now and every 12 hours, until the signal fires. */
  watch(stop: AbortSignal): void {
    const warn = (): void => {
      const { notice } = this;
      if (notice !== null) this.#options.log.warn(notice);
    };
    warn();
    const timer = setInterval(warn, CHECK_INTERVAL_MS);
    timer.unref();
    stop.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  /** Milliseconds since the epoch; undefined for a credential that does not expire, or that cannot be read now. */
  #readExpiry(): number | undefined {
    const { file } = this.#options;
    if (!file) return undefined;
    try {
      const { exp } = parseCredentials(readFileSync(file, 'utf8'));
      return exp === undefined ? undefined : exp * 1000;
    } catch {
      // The connection to NATS says what is wrong with it.
      return undefined;
    }
  }
}
