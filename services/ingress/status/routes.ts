import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import { BatonError } from '../../../contracts/errors.ts';
import { toCallerAddress } from '../caller-address.ts';
import { toHttpError } from '../http-error.ts';
import { registerStatusMetrics } from '../metrics.ts';
import type { StatusFeed, StatusView } from './feed.ts';
import { buildStatusPage } from './page.ts';

/** Maximum of open status pages on one ingress, and of one address. */
const MAX_VIEWERS = 500;
const MAX_VIEWERS_OF_CALLER = 20;
const RETRY_AFTER_S = 10;
/** HTTP proxies close idle connections. */
const HEARTBEAT_INTERVAL_MS = 15_000;

export interface StatusRoutesOptions {
  feed: StatusFeed;
  stop: AbortSignal;
  metrics: Registry;
}

/**
 * `GET /status`: the status page, one self-contained document. `GET /status/events`: Server-Sent Events for the page,
 * one event `status` per second with a {@link StatusView}, or 429 or 503 where too many are open: the page then polls. `GET /status.json`: one {@link StatusView}. `/` redirects to
 * the page.
 */
export async function addStatusRoutes(
  scope: FastifyInstance,
  { feed, stop, metrics }: StatusRoutesOptions,
): Promise<void> {
  const page = buildStatusPage();
  const viewers = new Map<string, number>();
  const { refused } = registerStatusMetrics(metrics, feed);

  scope.get('/', (_request, reply) => reply.redirect('/status'));
  scope.get('/status', (_request, reply) =>
    reply
      .headers({
        'content-security-policy': page.policy,
        'cache-control': 'no-cache',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      })
      .type('text/html; charset=utf-8')
      .send(page.html),
  );
  scope.get('/status.json', async (_request, reply) => {
    const view = await feed.current();
    return reply
      .header('cache-control', 'no-store')
      .code(view.status === null ? 503 : 200)
      .send(view);
  });
  scope.get('/status/events', streamEvents);

  /** @throws BatonError TOO_MANY_REQUESTS, OVERLOADED */
  function checkViewers(caller: string): void {
    const details = { retryAfterS: RETRY_AFTER_S };
    if ((viewers.get(caller) ?? 0) >= MAX_VIEWERS_OF_CALLER) {
      const message = `sending events: ${caller} already has ${MAX_VIEWERS_OF_CALLER} open status pages`;
      throw new BatonError('TOO_MANY_REQUESTS', message, { details });
    }
    if (feed.viewers < MAX_VIEWERS && !stop.aborted) return;
    throw new BatonError('OVERLOADED', `sending events: ${feed.viewers} status pages are open`, { details });
  }

  function countViewer(caller: string, change: 1 | -1): void {
    const count = (viewers.get(caller) ?? 0) + change;
    if (count > 0) viewers.set(caller, count);
    else viewers.delete(caller);
  }

  function streamEvents(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const caller = toCallerAddress(request.ip);
    try {
      checkViewers(caller);
    } catch (error) {
      refused.inc();
      const { status, headers, body } = toHttpError(error);
      return reply.code(status).headers(headers).send(body);
    }
    countViewer(caller, 1);
    reply.hijack();
    const out = reply.raw;
    out.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      // Otherwise the connection would stay open after the last event and delay a graceful stop.
      connection: 'close',
      // nginx must not buffer the events.
      'x-accel-buffering': 'no',
    });
    out.write('retry: 2000\n\n');
    const stopWatching = feed.watch((view: StatusView) => {
      // A slow viewer misses events instead of filling our memory.
      if (!out.writableNeedDrain) out.write(`event: status\ndata: ${JSON.stringify(view)}\n\n`);
    });
    let isStuck = false;
    const heartbeat = setInterval(() => {
      // It has read nothing for a whole interval.
      if (isStuck && out.writableNeedDrain) return out.destroy();
      isStuck = out.writableNeedDrain;
      return out.write(': heartbeat\n\n');
    }, HEARTBEAT_INTERVAL_MS);
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      countViewer(caller, -1);
      stopWatching();
      clearInterval(heartbeat);
      stop.removeEventListener('abort', end);
      out.end();
    };
    stop.addEventListener('abort', end);
    out.once('close', end);
    return reply;
  }
}
