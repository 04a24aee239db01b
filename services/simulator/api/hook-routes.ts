import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { toDeliveryItem, toDeliveryShape, toHookShape } from '../shapes/hook.ts';
import type { WebhookDelivery, Hook } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { sendPing } from '../webhooks/announce.ts';
import { requireApp } from './app-routes.ts';
import { ApiError, invalid, notFound } from './errors.ts';
import { parseBody, parseNumber, paginate, pageUrl, findScope, type Params, type Request } from './request.ts';

const settings = z.object({
  url: z.url(),
  content_type: z.string().default('form'),
  secret: z.string().optional(),
});
const newHook = z.object({
  name: z.literal('web').optional(),
  config: settings,
  events: z.array(z.string()).min(1).default(['push']),
  active: z.boolean().default(true),
});
const changedHook = z.object({
  config: settings.partial().optional(),
  events: z.array(z.string()).min(1).optional(),
  active: z.boolean().optional(),
});
const deliveriesQuery = z.object({
  per_page: z.coerce.number().int().min(1).max(100).default(30),
  cursor: z
    .string()
    .regex(/^v1_\d+$/)
    .optional(),
  status: z.enum(['success', 'failure']).optional(),
});

const THREE_DAYS_MS = 3 * 86_400_000;

/** Routes of the webhooks of organisations and repositories, and of the deliveries of all webhooks. */
export function addHookRoutes(http: FastifyInstance, sim: Simulation): void {
  for (const owner of ['/orgs/:org', '/repos/:owner/:repo']) {
    const kind = owner === '/orgs/:org' ? 'organization' : 'repository';
    const target = (request: Request): string => {
      const { account, repository } = findScope(sim, request, 'hooks');
      return repository ? `${account.login}/${repository.name}` : account.login;
    };
    const listHooks = (request: Request): Hook[] => {
      const name = target(request);
      return [...sim.state.hooks.values()].filter((hook) => hook.kind === kind && hook.target === name);
    };
    const findHook = (request: Request): Hook => {
      const hooks = listHooks(request);
      const id = parseNumber(request.params.id);
      const hook = hooks.find((candidate) => candidate.id === id);
      if (!hook) throw notFound();
      return hook;
    };

    http.get<{ Params: Partial<Params> }>(`${owner}/hooks`, (request, reply) =>
      paginate(request, reply, listHooks(request)).map((hook) => toHookShape(sim, hook)),
    );

    http.post<{ Params: Partial<Params> }>(`${owner}/hooks`, (request, reply) => {
      const name = target(request);
      const { config, events, active } = parseBody(request, newHook);
      if (config.content_type !== 'json')
        throw invalid('Validation Failed: the simulator sends content_type json only.');
      const hook = addHook(sim, { kind, target: name, url: config.url, secret: config.secret ?? null, events, active });
      sendPing(sim, hook);
      return reply.code(201).send(toHookShape(sim, hook));
    });

    http.get<{ Params: Partial<Params> }>(`${owner}/hooks/:id`, (request) => toHookShape(sim, findHook(request)));

    http.patch<{ Params: Partial<Params> }>(`${owner}/hooks/:id`, (request) => {
      const hook = findHook(request);
      const { config, events, active } = parseBody(request, changedHook);
      hook.url = config?.url ?? hook.url;
      hook.secret = config?.secret ?? hook.secret;
      hook.events = events ?? hook.events;
      hook.active = active ?? hook.active;
      return toHookShape(sim, hook);
    });

    http.delete<{ Params: Partial<Params> }>(`${owner}/hooks/:id`, (request, reply) => {
      sim.state.hooks.delete(findHook(request).id);
      return reply.code(204).send();
    });

    http.post<{ Params: Partial<Params> }>(`${owner}/hooks/:id/pings`, (request, reply) => {
      sendPing(sim, findHook(request));
      return reply.code(204).send();
    });

    addDeliveryRoutes(http, sim, `${owner}/hooks/:id/deliveries`, (request) => {
      const hook = findHook(request);
      return (candidate) => candidate === hook;
    });
  }

  addDeliveryRoutes(http, sim, '/app/hook/deliveries', (request) => {
    const app = requireApp(request);
    return (candidate) => candidate.appId === app.id;
  });
}

function addDeliveryRoutes(
  http: FastifyInstance,
  sim: Simulation,
  path: string,
  selectHooks: (request: Request) => (hook: Hook) => boolean,
): void {
  /** Newest first; none is older than three days. */
  const deliveriesIn = (request: Request): WebhookDelivery[] => {
    const isWanted = selectHooks(request);
    const since = Date.now() - THREE_DAYS_MS;
    return [...sim.state.deliveries.values()]
      .filter((delivery) => isWanted(delivery.hook) && delivery.deliveredAt > since)
      .sort((a, b) => b.id - a.id);
  };
  const deliveryIn = (request: Request): WebhookDelivery => {
    const deliveries = deliveriesIn(request);
    const id = parseNumber(request.params.delivery);
    const delivery = deliveries.find((candidate) => candidate.id === id);
    if (!delivery) throw notFound();
    return delivery;
  };

  http.get<{ Params: Partial<Params> }>(path, (request, reply) => {
    const deliveries = deliveriesIn(request);
    const parsed = deliveriesQuery.safeParse(request.query);
    if (!parsed.success) throw new ApiError(400, 'Bad request: cursor, per_page or status is invalid.');
    const { cursor, per_page: size, status } = parsed.data;
    const from = cursor === undefined ? Infinity : Number(cursor.slice(3));
    const rest = deliveries.filter(
      (delivery) => delivery.id <= from && (status === undefined || (status === 'success') === isDelivered(delivery)),
    );
    const next = rest[size];
    if (next) reply.header('link', `<${pageUrl(request, { cursor: `v1_${next.id}` })}>; rel="next"`);
    return rest.slice(0, size).map(toDeliveryItem);
  });

  http.get<{ Params: Partial<Params> }>(`${path}/:delivery`, (request) => toDeliveryShape(deliveryIn(request)));

  http.post<{ Params: Partial<Params> }>(`${path}/:delivery/attempts`, (request, reply) => {
    sim.webhooks.redeliver(deliveryIn(request));
    return reply.code(202).send({});
  });
}

const isDelivered = (delivery: WebhookDelivery): boolean => delivery.statusCode >= 200 && delivery.statusCode < 300;

/** Creates a webhook, by default of the first App where it is an App's; sends no ping. */
export function addHook(
  sim: Simulation,
  order: Pick<Hook, 'kind' | 'target' | 'url' | 'secret'> & Partial<Pick<Hook, 'events' | 'active' | 'appId'>>,
): Hook {
  const hook: Hook = {
    events: ['workflow_job'],
    active: true,
    appId: order.kind === 'app' ? ([...sim.apps.keys()][0] ?? null) : null,
    ...order,
    id: sim.nextId('hook'),
    contentType: 'json',
    createdAt: Date.now(),
  };
  sim.state.hooks.set(hook.id, hook);
  return hook;
}
