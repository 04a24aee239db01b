import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BatonError } from '../../contracts/errors.ts';
import type { BodyQuota } from './body-quota.ts';
import { toCallerAddress } from './caller-address.ts';

/**
 * A body up to this size is always read, whatever else its sender sends: behind a reverse proxy, the forge's webhooks may share an
 * address with a flood. Almost all webhooks are smaller; all connections together can hold so much.
 */
const SMALL_BODY_BYTES = 64 * 1024;

/** Reads JSON bodies of callers that are not known yet, within a quota. */
export class BodyReader {
  readonly #quota: BodyQuota;
  readonly #maxBytes: number;
  readonly #held = new WeakMap<FastifyRequest, number>();
  readonly #closed = new WeakSet<FastifyRequest>();

  /** @param maxBytes of one body */
  constructor(quota: BodyQuota, maxBytes: number) {
    this.#quota = quota;
    this.#maxBytes = maxBytes;
  }

  /** Makes the routes of `scope` accept bodies of type application/json only, as a Buffer that is not parsed. */
  addTo(scope: FastifyInstance): void {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('application/json', (request: FastifyRequest, payload: IncomingMessage) =>
      this.#read(request, payload),
    );
  }

  /**
   * Checks the length that the sender announces, before anything of the body is read.
   *
   * @throws BatonError WEBHOOK_TOO_LARGE
   */
  checkLength(request: FastifyRequest, reply: FastifyReply): void {
    reply.raw.once('close', () => {
      this.#closed.add(request);
      this.release(request);
    });
    const length = announcedLength(request);
    if (length > this.#maxBytes) throw tooLarge(`${length} bytes are announced`);
  }

  /** No longer counts the body of a request. It must be dropped first: `request.body = undefined`. */
  release(request: FastifyRequest): void {
    const held = this.#held.get(request) ?? 0;
    this.#held.delete(request);
    if (held > 0) this.#quota.release(toCallerAddress(request.ip), held);
  }

  /** Whether a refused request's body is worth reading to its end, so that its connection can stay open. */
  isSmall(request: FastifyRequest): boolean {
    return announcedLength(request) <= SMALL_BODY_BYTES;
  }

  async #read(request: FastifyRequest, payload: Readable): Promise<Buffer> {
    const caller = toCallerAddress(request.ip);
    const counts = !this.isSmall(request);
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of withoutReset(payload)) {
      length += chunk.length;
      if (length > this.#maxBytes) throw tooLarge(`more than ${this.#maxBytes} bytes came`);
      // Nobody would give back what is taken now.
      if (this.#closed.has(request)) throw interrupted();
      if (counts) {
        this.#quota.take(caller, chunk.length);
        this.#held.set(request, length);
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, length);
  }
}

/** @throws BatonError WEBHOOK_INVALID where the connection ends before the body does */
async function* withoutReset(payload: Readable): AsyncGenerator<Buffer> {
  // The default would close the connection with the iterator, before the answer.
  const chunks: AsyncIterator<unknown> = payload.iterator({ destroyOnReturn: false });
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      throw interrupted(error);
    });
    if (next.done === true) return;
    if (!Buffer.isBuffer(next.value)) throw new TypeError('the body is decoded already');
    yield next.value;
  }
}

function interrupted(cause?: unknown): BatonError {
  return new BatonError('WEBHOOK_INVALID', 'reading a body: the connection ended before the body did', { cause });
}

/** Infinity where the sender does not say. */
function announcedLength(request: FastifyRequest): number {
  const given = request.headers['content-length'];
  return given === undefined ? Number.POSITIVE_INFINITY : Number(given);
}

function tooLarge(why: string): BatonError {
  return new BatonError('WEBHOOK_TOO_LARGE', `reading a body: ${why}`);
}
