import { bundleAgent } from '../backend/agent-bundle.ts';
import { NatsLink } from '../shared/nats-link.ts';
import { runService } from '../shared/service.ts';
import { addAgentRoute } from './agent-route.ts';
import { addLogin, readPasswordHash } from './login/login.ts';
import { registerLoginMetrics } from './metrics.ts';
import { addDelegationRoutes } from './jobs/routes.ts';
import { WebhookPublisher } from './webhook-publisher.ts';
import { createSignatureCheck } from './signature.ts';
import { fetchStatus, StatusFeed } from './status/feed.ts';
import { createPublicServer } from './public-server.ts';
import { publishRefusal } from './refusal-log.ts';
import { addStatusRoutes } from './status/routes.ts';
import { addWebhookRoute } from './webhook-route.ts';

/**
 * The ingress receives webhooks and delegated jobs and publishes them to JetStream; it also serves the agent and, at its
 * admin port, the status page. It knows neither Temporal nor groups, and stores nothing: any number of them can run.
 */
await runService(
  'ingress',
  async ({ config, log, metrics, traces, admin, stop }) => {
    const check = createSignatureCheck(config.webhook.secrets, log);
    const link = new NatsLink(config.nats, 'ingress', `ingress of ${config.name}`, log);
    link.open();
    const { http, quota, refusals } = createPublicServer({
      config: config.ingress,
      metrics,
      log,
      publishRefusal: (entry) => publishRefusal(link, entry),
    });
    const feed = new StatusFeed(() => fetchStatus(link));
    const publisher = new WebhookPublisher(link);

    await http.register(addWebhookRoute, {
      forge: config.forge.type,
      check,
      publisher,
      quota,
      refusals,
      log,
      metrics,
      traces,
    });
    const { delegation } = config;
    if (delegation) await http.register(addDelegationRoutes, { delegation, link, refusals, log, metrics });
    await http.register(addAgentRoute, { bundle: bundleAgent, refusals });
    const { password_hash: passwordHash, metrics_token: metricsToken } = config.admin;
    if (passwordHash) {
      addLogin(admin, {
        passwordHash: readPasswordHash(passwordHash),
        hasMetricsToken: metricsToken !== undefined,
        logins: registerLoginMetrics(metrics),
        log,
      });
    }
    await admin.register(addStatusRoutes, { feed, stop, metrics });
    // After the last response: until then requests still need NATS.
    http.addHook('onClose', async () => {
      await refusals.flush();
      await link.close(5000);
    });

    return {
      http,
      ready: () => Promise.resolve(link.isUp),
      run: () => new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve(), { once: true })),
    };
  },
  { isPublic: true },
);
