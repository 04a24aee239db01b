import { Events } from 'nats';
import { checkStreams } from '../../contracts/lib/bus-check.ts';
import { connectBus, type Bus } from '../../contracts/lib/nats.ts';
import { SERVICE_STREAMS, STREAMS } from '../../contracts/messages/streams.ts';
import type { NatsConfig } from '../../contracts/config/servers.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';

const RETRY_DELAY_MS = 1000;

/** The path of this service's credentials file; undefined: it has none. */
export function findCredentialsFile(config: NatsConfig): string | undefined {
  return process.env['BATON_NATS_CREDENTIALS'] ?? config.credentials;
}

/**
 * A service's connection to NATS. The service starts without waiting for the server, and nothing is buffered while the connection
 * is lost: each caller waits for it as long as the caller can afford.
 */
export class NatsLink {
  readonly #config: NatsConfig;
  readonly #service: keyof typeof SERVICE_STREAMS;
  readonly #name: string;
  readonly #log: Logger;
  #bus: Bus | undefined;
  #up = false;
  #closed = false;
  readonly #waiting = new Set<(bus: Bus) => void>();
  readonly #listeners: ((bus: Bus) => void)[] = [];

  /**
   * @param service whose streams must exist
   * @param name of this process, for NATS's monitoring
   */
  constructor(config: NatsConfig, service: keyof typeof SERVICE_STREAMS, name: string, log: Logger) {
    this.#config = config;
    this.#service = service;
    this.#name = name;
    this.#log = log;
  }

  /** Connects in the background, and retries until NATS is there and has the service's streams. Returns at once. */
  open(): void {
    void this.#open();
  }

  /** Whether NATS is connected and the streams exist. */
  get isUp(): boolean {
    return this.#up;
  }

  /** Calls the listener each time NATS is connected (again) and the streams exist; at once where that is so now. */
  onUp(listener: (bus: Bus) => void): void {
    this.#listeners.push(listener);
    if (this.#bus && this.#up) listener(this.#bus);
  }

  /**
   * The connection; waits for it if it is lost.
   *
   * @throws BatonError BUS_UNAVAILABLE after `timeoutMs`
   */
  async connected(timeoutMs: number): Promise<Bus> {
    if (this.#bus && this.#up) return this.#bus;
    return new Promise((resolve, reject) => {
      const done = (bus: Bus): void => {
        clearTimeout(timer);
        resolve(bus);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(done);
        reject(new BatonError('BUS_UNAVAILABLE', `waiting for NATS: no answer within ${timeoutMs / 1000} s`));
      }, timeoutMs);
      this.#waiting.add(done);
    });
  }

  /** Sends buffered messages, such as acknowledgements, and disconnects; waits at most `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    if (this.#bus === undefined) return;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    await Promise.race([this.#up ? this.#bus.drain().catch(() => undefined) : this.#bus.close(), late]);
    clearTimeout(timer);
  }

  async #open(): Promise<void> {
    while (!this.#closed && this.#bus === undefined) {
      try {
        this.#bus = await connectBus({
          url: this.#config.url,
          tls: this.#config.tls,
          name: this.#name,
          credentialsFile: findCredentialsFile(this.#config),
        });
      } catch (error) {
        this.#log.error({ err: error }, getErrorMessage(error));
        await pause();
      }
    }
    if (this.#bus === undefined) return;
    void this.#watch(this.#bus);
    await this.#prepare(this.#bus);
  }

  async #watch(bus: Bus): Promise<void> {
    for await (const { type } of bus.status()) {
      switch (type) {
        case Events.Disconnect:
          if (!this.#closed) this.#log.warn('NATS connection lost');
          this.#up = false;
          break;
        case Events.Reconnect:
          // A server that was restarted may have lost its disk, and the streams with it.
          void this.#prepare(bus);
          break;
        default:
      }
    }
  }

  async #prepare(bus: Bus): Promise<void> {
    while (!this.#closed && !bus.isClosed()) {
      try {
        const streams = await checkStreams(
          bus,
          SERVICE_STREAMS[this.#service].map((key) => STREAMS[key]),
        );
        if (streams.length > 0) {
          this.#log.warn({ streams }, 'another version of Baton set these streams up: run `baton setup nats`');
        }
        this.#up = true;
        this.#log.info({ server: bus.getServer() }, 'NATS connected');
        for (const done of this.#waiting) done(bus);
        this.#waiting.clear();
        for (const listener of this.#listeners) listener(bus);
        return;
      } catch (error) {
        const help = error instanceof BatonError ? error.help : undefined;
        this.#log.warn({ reason: getErrorMessage(error), help }, 'NATS cannot be used yet; will retry');
        await pause();
      }
    }
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS));
}
