import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Counter } from 'prom-client';
import type { Logger } from '../../contracts/lib/log.ts';
import { encode } from '../../contracts/lib/nats.ts';
import { publishOnce } from '../../contracts/lib/publish-once.ts';
import { MAX_REFUSALS_PER_MINUTE, type RefusedRequest } from '../../contracts/messages/refused-request.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import type { NatsLink } from '../shared/nats-link.ts';
import { toCallerAddress } from './caller-address.ts';
import type { HttpError } from './http-error.ts';

const WINDOW_MS = 60_000;
const MAX_DETAIL = 500;
const PUBLISH_TIMEOUT_MS = 2000;

export interface RefusalLogOptions {
  /** Stores an entry. What it cannot store is lost: a flood must not fill this process instead. */
  publish: (entry: RefusedRequest) => Promise<void>;
  refused: Counter<'code'>;
  log: Logger;
}

/**
 * Remembers refused requests: one entry per caller, error code and minute, and at most {@link MAX_REFUSALS_PER_MINUTE} of them. So a
 * flood of refusals fills neither the log nor the stream.
 */
export class RefusalLog {
  readonly #options: RefusalLogOptions;
  readonly #entries = new Map<string, RefusedRequest>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RefusalLogOptions) {
    this.#options = options;
  }

  /** Counts an answer with a status of 4xx, and ignores any other. */
  record(request: FastifyRequest, { status, body }: Pick<HttpError, 'status' | 'body'>): void {
    if (status < 400 || status > 499) return;
    const { refused, log } = this.#options;
    refused.inc({ code: body.code });
    const who = toCallerAddress(request.ip);
    const known = this.#entries.get(`${who} ${body.code}`);
    if (known !== undefined) known.count += 1;
    else if (this.#entries.size < MAX_REFUSALS_PER_MINUTE) {
      this.#add(who, body.code, body.message);
      log.warn({ caller: who, code: body.code, status, delivery: request.headers['x-github-delivery'] }, body.message);
    } else this.#countOther();
  }

  /** Publishes what was refused since the last time. Resolves when all of it is stored, or lost. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    const results = await Promise.allSettled(entries.map((entry) => this.#options.publish(entry)));
    const lost = results.filter(({ status }) => status === 'rejected').length;
    if (lost > 0) this.#options.log.warn({ lost }, 'entries of refused requests could not be stored');
  }

  #countOther(): void {
    const others = this.#entries.get('others');
    if (others === undefined) this.#add('others', 'VARIOUS', `more than ${MAX_REFUSALS_PER_MINUTE} callers and codes`);
    else others.count += 1;
  }

  #add(who: string, code: string, detail: string): void {
    const at = new Date().toISOString();
    const entry: RefusedRequest = {
      version: 1,
      id: randomUUID(),
      at,
      who,
      code,
      count: 1,
      detail: detail.slice(0, MAX_DETAIL),
    };
    this.#entries.set(who === 'others' ? who : `${who} ${code}`, entry);
    this.#timer ??= setTimeout(() => void this.flush(), WINDOW_MS).unref();
  }
}

/** @throws BatonError BUS_UNAVAILABLE, or what the connection to NATS ended with */
export async function publishRefusal(link: NatsLink, entry: RefusedRequest): Promise<void> {
  const bus = await link.connected(PUBLISH_TIMEOUT_MS);
  await publishOnce(bus, subjects.refusal, encode(entry), { id: entry.id, timeoutMs: PUBLISH_TIMEOUT_MS });
}
