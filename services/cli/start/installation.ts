import { connectBus, type Bus } from '../../../contracts/lib/nats.ts';
import type { Config } from '../../../contracts/config/config.ts';
import type { Backend } from '../../../contracts/ports/backend.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import { findFreePort, findFreePorts } from '../../../contracts/lib/free-ports.ts';
import { setUpBus } from '../../../deploy/nats/set-up-bus.ts';
import { createBackend } from '../../backend/create-backend.ts';
import { planService, planSimulator, type ServiceParts } from './service-plans.ts';
import { CONTAINER_HOST, exposeToContainers } from './container-host.ts';
import { SIGNING_KEY_VARIABLE, writeEffective } from './effective-config.ts';
import type { StartOptions } from './options.ts';
import { planDemo, planFromConfig, type StartPlan } from './plan.ts';
import { endRunners, removeInstances } from './removal.ts';
import { startServers, type Servers } from './servers.ts';
import { SimulatorClient } from './simulator-client.ts';
import type { StateFolder } from './state-folder.ts';
import { print } from '../lib/print.ts';
import { reportStep } from './steps.ts';
import type { Cleanups } from './cleanups.ts';
import { Supervisor, type ServicePlan } from './supervisor.ts';
import { TemporalView } from './temporal-view.ts';

export interface StartContext {
  state: StateFolder;
  cleanups: Cleanups;
}

/** A running installation: all that `baton start` has started. */
export interface Installation {
  bus: Bus;
  temporal: TemporalView;
  backends: readonly Backend[];
  /** The demo's GitHub; undefined with a configuration of your own. */
  demo: SimulatorClient | undefined;
  /** Addresses to open in a browser, by title. */
  addresses: Record<string, string>;
}

interface Ports {
  simulator: number;
  /** Of each copy of the ingress. */
  ingress: { own: number; admin: number }[];
  /** Admin ports of the other services. */
  others: number[];
}

/**
 * Starts servers, services and, for the demo, the simulator. `cleanups` stops all of it.
 *
 * @throws BatonError SERVER_UNAVAILABLE, CONFIG_*, and for the demo BACKEND_UNAVAILABLE, IMAGE_MISSING
 */
export async function startInstallation(options: StartOptions, context: StartContext): Promise<Installation> {
  const { state, cleanups } = context;
  const plan =
    options.config === undefined ? await planDemo(options.backend, state) : await planFromConfig(options.config);
  print(plan.headline);
  const servers = await startServers({ ...plan.serversToStart, temporalUiPort: options.portTemporalUi }, context);
  const ports = await choosePorts(options, plan.backends);
  const urls = toUrls(ports);
  const natsPort = servers.operator && servers.nats ? Number(new URL(servers.nats.url).port) : undefined;
  if (plan.engine) {
    const exposed = [natsPort, plan.demo ? ports.simulator : undefined].filter((port) => port !== undefined);
    await exposeToContainers(plan.engine, exposed, cleanups);
  }
  const config = writeConfig(plan, { simulatorUrl: urls.simulator, servers, natsPort, state });
  await reportStep('streams', () => setUpStreams(config, servers));
  const signingKey = servers.operator?.runnerSigningKeySeed;
  const secrets = { ...plan.secrets, ...(signingKey === undefined ? {} : { [SIGNING_KEY_VARIABLE]: signingKey }) };

  const backends = await openBackends(config);
  const temporal = await TemporalView.connect(config);
  await cleanups.add(() => temporal.close());
  const supervisor = new Supervisor(print);
  cleanups.onKill(() => supervisor.killAll());
  await cleanups.add(() => shutDown(supervisor, temporal, backends));
  // Instances that a killed run left behind: no service that could create one runs yet.
  if (plan.demo) await removeInstances(backends, print);

  const parts: ServiceParts = { config, state, operator: servers.operator, secrets };
  const services = planServices(options.copies, ports, parts);
  if (plan.demo) {
    const publicUrl = plan.engine ? `http://${CONTAINER_HOST}:${ports.simulator}` : urls.simulator;
    services.push(planSimulator(ports.simulator, { publicUrl, webhookUrl: urls.webhooks }, parts));
  }
  await reportStep('services', () => Promise.all(services.map((service) => supervisor.start(service))));
  const bus = await connectBus({
    url: config.nats.url,
    tls: config.nats.tls,
    name: 'baton start',
    credentialsFile: servers.operator?.credentials.observer ?? config.nats.credentials,
  });
  await cleanups.add(() => bus.close());
  const demo = plan.demo ? new SimulatorClient(urls.simulator) : undefined;
  return { bus, temporal, backends, demo, addresses: listAddresses(config, urls, plan.demo) };
}

/** @throws BatonError BUS_UNAVAILABLE; BUS_DENIED where the configuration's own credential may not: see `baton setup nats` */
async function setUpStreams({ nats }: Config, { operator }: Servers): Promise<void> {
  const bus = await connectBus({
    url: nats.url,
    tls: nats.tls,
    name: 'baton start: set-up',
    credentialsFile: operator?.credentials.setup ?? process.env['BATON_NATS_CREDENTIALS'] ?? nats.credentials,
    waitForServer: false,
  });
  try {
    await setUpBus(bus);
  } finally {
    await bus.close();
  }
}

interface Urls {
  simulator: string;
  statusPage: string;
  webhooks: string;
}

function toUrls(ports: Ports): Urls {
  const [first] = ports.ingress;
  return {
    simulator: `http://127.0.0.1:${ports.simulator}`,
    statusPage: `http://127.0.0.1:${first?.admin}/status`,
    webhooks: `http://127.0.0.1:${first?.own}/webhooks/github`,
  };
}

function listAddresses({ temporal }: Config, urls: Urls, demo: boolean): Record<string, string> {
  return {
    'status page': urls.statusPage,
    ...(temporal.ui_url ? { 'Temporal UI': temporal.ui_url } : {}),
    ...(demo ? { simulator: urls.simulator } : { webhooks: urls.webhooks }),
  };
}

async function choosePorts(options: StartOptions, backends: number): Promise<Ports> {
  const { copies, portIngress, portStatus } = options;
  const own = await findFreePorts(copies);
  const admin = await findFreePorts(copies);
  if (portIngress !== undefined) own[0] = portIngress;
  if (portStatus !== undefined) admin[0] = portStatus;
  const ingress = own.map((port, copy) => ({ own: port, admin: admin[copy] ?? 0 }));
  return { simulator: await findFreePort(), ingress, others: await findFreePorts(copies * (2 + backends)) };
}

function writeConfig(
  plan: StartPlan,
  found: { simulatorUrl: string; servers: Servers; natsPort: number | undefined; state: StateFolder },
): Config {
  const { temporal, nats, operator } = found.servers;
  const addresses = {
    temporal,
    nats: nats && { url: nats.url, account: operator?.runnerAccountPublicKey },
    containerNatsUrl:
      plan.engine && found.natsPort !== undefined ? `nats://${CONTAINER_HOST}:${found.natsPort}` : undefined,
  };
  return writeEffective(plan.document(found.simulatorUrl), addresses, found.state.config);
}

/** The backends themselves, to list and remove leftover instances; the workers create them. */
function openBackends(config: Config): Promise<Backend[]> {
  const log = createLogger('start', 'silent');
  const agent = { files: [], archive: Buffer.alloc(0), hash: '' };
  const { name: installation, backends } = config;
  return Promise.all(Object.values(backends).map((backend) => createBackend(backend, { installation, agent, log })));
}

function planServices(copies: number, ports: Ports, parts: ServiceParts): ServicePlan[] {
  const free = [...ports.others];
  const plans: ServicePlan[] = [];
  for (let copy = 0; copy < copies; copy++) {
    const label = (name: string): string => (copies === 1 ? name : `${name}-${copy + 1}`);
    plans.push(
      planService('ingress', label('ingress'), ports.ingress[copy] ?? { own: 0, admin: 0 }, [], parts),
      planService('relay', label('relay'), { admin: free.pop() ?? 0 }, [], parts),
      planService('orchestrator', label('orchestrator'), { admin: free.pop() ?? 0 }, [], parts),
      ...Object.keys(parts.config.backends).map((name) =>
        planService('backend', label(`backend-${name}`), { admin: free.pop() ?? 0 }, [name], parts),
      ),
    );
  }
  return plans;
}

/** Ends the runners while the services that remove them still run; then the services; then removes leftover instances. */
async function shutDown(supervisor: Supervisor, temporal: TemporalView, backends: readonly Backend[]): Promise<void> {
  try {
    await supervisor.stop('ingress');
    const open = await endRunners({ temporal, backends }, (left) =>
      print(`  removing ${left} ${left === 1 ? 'runner' : 'runners'}`),
    );
    if (open.length > 0) print(`  registrations still on the forge: ${open.join(', ')}`);
  } finally {
    await supervisor.stopAll();
    await removeInstances(backends, print);
  }
}
