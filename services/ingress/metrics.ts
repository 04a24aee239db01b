import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { BodyQuota } from './body-quota.ts';
import type { StatusFeed } from './status/feed.ts';
import type { WebhookPublisher } from './webhook-publisher.ts';

/** Registers the metrics of the server that the forge, machines and proxies reach. */
export function registerPublicMetrics(registry: Registry, quota: BodyQuota) {
  const on = { registers: [registry] };
  const held: Gauge = new Gauge({
    ...on,
    name: 'baton_ingress_body_bytes',
    help: 'Bytes of large bodies in memory whose sender is not verified yet; at most 30 MiB of one address and 256 MiB in all.',
    collect() {
      held.set(quota.held);
    },
  });
  return {
    refused: new Counter({
      ...on,
      name: 'baton_ingress_refused_total',
      help: 'Requests that were refused (4xx), by error code.',
      labelNames: ['code'] as const,
    }),
    connections: new Counter({
      ...on,
      name: 'baton_ingress_connections_refused_total',
      help: 'Connections that were closed by reason: limit (too many), timeout (no complete request in time), error (no HTTP).',
      labelNames: ['reason'] as const,
    }),
  };
}

/** Registers the metrics of the status page. */
export function registerStatusMetrics(registry: Registry, feed: StatusFeed) {
  const on = { registers: [registry] };
  const viewers: Gauge = new Gauge({
    ...on,
    name: 'baton_status_viewers',
    help: 'Open status pages that get events; at most 20 of one address and 500 in all.',
    collect() {
      viewers.set(feed.viewers);
    },
  });
  return {
    refused: new Counter({
      ...on,
      name: 'baton_status_viewers_refused_total',
      help: 'Status pages that got no events because too many are open; they poll.',
    }),
  };
}

/** Registers the metric of the status page's login. */
export function registerLoginMetrics(registry: Registry) {
  return new Counter({
    registers: [registry],
    name: 'baton_status_logins_total',
    help: 'Attempts to sign in to the status page by result (ok, wrong, limited).',
    labelNames: ['result'] as const,
  });
}

/** Registers the metrics of webhooks. */
export function registerWebhookMetrics(registry: Registry, publisher: WebhookPublisher) {
  const on = { registers: [registry] };
  const waiting: Gauge = new Gauge({
    ...on,
    name: 'baton_webhooks_waiting',
    help: 'Webhooks that wait for the acknowledgement of the stream.',
    collect() {
      waiting.set(publisher.waiting);
    },
  });
  return {
    webhooks: new Counter({
      ...on,
      name: 'baton_webhooks_total',
      help: 'Webhooks by event, action and result (accepted, duplicate, pong, ignored, or the error code).',
      labelNames: ['event', 'action', 'result'] as const,
    }),
    ackSeconds: new Histogram({
      ...on,
      name: 'baton_webhook_ack_seconds',
      help: 'Time from the request until the stream acknowledged the job event.',
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    }),
    bytes: new Counter({
      ...on,
      name: 'baton_webhook_bytes_total',
      help: 'Bytes of webhook bodies received.',
    }),
  };
}

/** Registers the metrics of the delegation API. */
export function registerDelegationMetrics(registry: Registry) {
  const on = { registers: [registry] };
  return {
    requests: new Counter({
      ...on,
      name: 'baton_delegation_requests_total',
      help: 'Requests to /api/jobs by route and result (ok, or the error code).',
      labelNames: ['route', 'result'] as const,
    }),
    ackSeconds: new Histogram({
      ...on,
      name: 'baton_delegation_ack_seconds',
      help: 'Time from a request that delegates a job until its 202.',
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    }),
  };
}
