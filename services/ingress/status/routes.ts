import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { StatusFeed, StatusView } from './feed.ts';
import { buildStatusPage } from './page.ts';

/** Maximum of open status pages on one ingress. */
const MAX_VIEWERS = 500;
/** HTTP proxies close idle connections. */
const HEARTBEAT_INTERVAL_MS = 15_000;

export interface StatusRoutesOptions {
  feed: StatusFeed;
  stop: AbortSignal;
}

/**
 * `GET /status`: the status page, one self-contained document. `GET /status/events`: Server-Sent Events for the page,
 * one event `status` per second with a {@link StatusView}. `GET /status.json`: one {@link StatusView}. `/` redirects to
 * the page.
 */
export async function addStatusRoutes(scope: FastifyInstance, { feed, stop }: StatusRoutesOptions): Promise<void> {
  const page = buildStatusPage();

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

  function streamEvents(_request: FastifyRequest, reply: FastifyReply): FastifyReply {
    if (feed.viewers >= MAX_VIEWERS || stop.aborted) {
      return reply
        .code(503)
        .header('retry-after', '10')
        .send({ message: 'too many open status pages on this ingress' });
    }
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
    const heartbeat = setInterval(() => out.write(': heartbeat\n\n'), HEARTBEAT_INTERVAL_MS);
    const end = (): void => {
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
