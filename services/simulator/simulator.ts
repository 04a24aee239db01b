import { fastify, type FastifyInstance } from 'fastify';
import { addHook } from './api/hook-routes.ts';
import { API_PREFIX, addApiRoutes } from './api/routes.ts';
import { formatJobLog } from './api/job-routes.ts';
import { addControlRoutes } from './control/routes.ts';
import { EventLog } from './event-log.ts';
import { sweep } from './jobs/sweep.ts';
import { page } from './page.ts';
import { createRandom } from './random.ts';
import { addRunnerProtocolRoutes } from './protocol-routes.ts';
import { DEFAULT_PERMISSIONS } from './shapes/app.ts';
import { findRepositoryUrl } from './api/redirect.ts';
import { RateLimiter } from './limits/rate-limiter.ts';
import { DEFAULT_LIMITS, GITHUB_TIMING, type AppOptions, type SimulatorOptions } from './settings.ts';
import { FIRST_IDS, type IdKind, type Simulation } from './simulation.ts';
import type { GithubApp } from './state.ts';
import { Poster } from './webhooks/post.ts';
import { WebhookSender } from './webhooks/sender.ts';
import { addRepository, createEmptyState } from './world.ts';

/** A running simulator. */
export interface Simulator {
  /** `http://host:port`: a forge's `url` in Baton's configuration. */
  address: string;
  /** Its state, for tests in the same process; {@link push} and other functions of jobs/ take it. */
  sim: Simulation;
  log: EventLog;
  /** All REST endpoints, as `GET /orgs/:org/…`. */
  endpoints: readonly string[];
  close(): Promise<void>;
}

/** The accepted token, unless others are given. */
export const DEFAULT_TOKEN = 'ghp_simulator';

/** Starts a simulated GitHub. @throws Error when the port is taken or a repository has no owner */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const sim = createSimulation(options);
  const http = fastify({
    bodyLimit: 10 * 1024 ** 2,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 300 },
    rewriteUrl: ({ url = '' }) => findRepositoryUrl(sim, url),
  });
  acceptEmptyJson(http);
  const [repository] = (options.repositories ?? ['octo-org/demo']).map((name) => addRepository(sim, name));
  if (options.webhook && repository) {
    const { url, secret, kind = sim.apps.size > 0 ? 'app' : 'organization' } = options.webhook;
    const owner = repository.owner.login;
    const target = kind === 'app' ? null : kind === 'organization' ? owner : `${owner}/${repository.name}`;
    addHook(sim, { kind, target, url, secret: secret === '' ? null : secret });
  }
  const { faults, endpoints } = await addApiRoutes(http, sim);
  await addControlRoutes(http, sim, faults);
  await addRunnerProtocolRoutes(http, sim);
  http.get<{ Params: { job: string } }>('/_logs/:job', (request, reply) => {
    const job = sim.state.jobs.get(Number(request.params.job));
    return job ? reply.type('text/plain; charset=utf-8').send(formatJobLog(job)) : reply.code(404).send('Not Found');
  });
  http.get('/healthz', () => ({ status: 'ok' }));
  // The addresses of runs and jobs show the same page.
  for (const path of ['/', '/:owner/:repo/actions/runs/:run', '/:owner/:repo/actions/runs/:run/job/:job']) {
    http.get(path, (_request, reply) => reply.type('text/html; charset=utf-8').send(page));
  }
  const listening = await http.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0 });
  const address = listening.replace('0.0.0.0', '127.0.0.1');
  sim.urls = { web: address, api: `${address}${API_PREFIX}`, runner: options.publicUrl ?? address };
  const sweeper = setInterval(() => sweep(sim), sim.timing.sweepMs);
  return {
    address,
    sim,
    log: sim.log,
    endpoints,
    close: async () => {
      clearInterval(sweeper);
      sim.webhooks.close();
      await http.close();
    },
  };
}

function createSimulation(options: SimulatorOptions): Simulation {
  const state = createEmptyState();
  const log = new EventLog();
  const random = createRandom(options.seed ?? 1);
  const timing = { ...GITHUB_TIMING, ...options.timing };
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const ids = new Map<IdKind, number>();
  const nextId = (kind: IdKind): number => {
    const id = ids.get(kind) ?? FIRST_IDS[kind];
    ids.set(kind, id + 1);
    return id;
  };
  const sim: Simulation = {
    urls: { web: '', api: '', runner: '' },
    state,
    log,
    random,
    timing,
    limits,
    nextId,
    limiter: new RateLimiter(limits, createRandom((options.seed ?? 1) + 1)),
    apps: createApps([...(options.app ? [options.app] : []), ...(options.apps ?? [])]),
    tokens: new Set(options.tokens ?? [DEFAULT_TOKEN]),
    assignmentDue: false,
    protectedEnvironments: new Set(),
    webhooks: new WebhookSender({
      log,
      random,
      timing,
      limits,
      deliveries: state.deliveries,
      nextDeliveryId: () => nextId('delivery'),
      host: () => new URL(sim.urls.web).host,
      poster: options.poster ?? new Poster(),
    }),
  };
  return sim;
}

/** Each App with its defaults, by id. */
function createApps(all: AppOptions[]): Map<number, GithubApp> {
  const apps = all.map((app, index): [number, GithubApp] => [
    app.id,
    {
      ...app,
      installation: app.installation ?? 1 + index * 1_000,
      permissions: app.permissions ?? { ...DEFAULT_PERMISSIONS },
      clientId: `Iv23li${String(app.id).padStart(14, '0')}`,
      slug: index === 0 ? 'baton' : `baton-${app.id}`,
      suspended: false,
    },
  ]);
  return new Map(apps);
}

/** GitHub accepts requests that announce JSON and have no body. */
function acceptEmptyJson(http: FastifyInstance): void {
  const parse = http.getDefaultJsonParser('error', 'error');
  http.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, body, done);
  });
}
