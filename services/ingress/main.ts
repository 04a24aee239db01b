import { bundleAgent } from '../backend/agent-bundle.ts';
import { NatsLink } from '../shared/nats-link.ts';
import { runService } from '../shared/service.ts';
import { agentRoute } from './agent-route.ts';
import { jobRoutes } from './jobs/routes.ts';
import { Publisher } from './publisher.ts';
import { signatureCheck } from './signature.ts';
import { askStatus, StatusFeed } from './status/feed.ts';
import { statusRoutes } from './status/routes.ts';
import { webhookRoute } from './webhook-route.ts';

/**
 * The ingress: webhooks in, job events out to JetStream, and the live status page. Knows neither Temporal nor groups, and
 * keeps nothing: start as many as you like.
 */
await runService('ingress', async ({ config, log, metrics, traces, http, stop }) => {
  const check = signatureCheck(config.webhook.secrets, log);
  const link = new NatsLink(config.nats, `ingress of ${config.name}`, log);
  link.open();
  const feed = new StatusFeed(() => askStatus(link));
  const publisher = new Publisher(link);

  await http.register(webhookRoute, { forge: config.forge.type, check, publisher, log, metrics, traces });
  const { delegation } = config;
  if (delegation) await http.register(jobRoutes, { delegation, link, log, metrics });
  await http.register(statusRoutes, { feed, stop });
  await http.register(agentRoute, { bundle: bundleAgent });
  // After the last request was answered: each of them may still need the bus.
  http.addHook('onClose', () => link.close(5000));

  return {
    ready: () => Promise.resolve(link.isUp),
    run: () => new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve(), { once: true })),
  };
});
