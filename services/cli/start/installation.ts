import { connectBus, type Bus } from '../../../contracts/lib/nats.ts';
import type { Config } from '../../../contracts/config/config.ts';
import type { Backend } from '../../../contracts/ports/backend.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import { findFreePorts } from '../../../deploy/servers/ports.ts';
import { createBackend } from '../../backend/create-backend.ts';
import { planService, planSimulator, type ServiceParts } from './children.ts';
import { CONTAINER_HOST, exposeToContainers } from './container-host.ts';
import { SIGNING_KEY_VARIABLE, writeEffective } from './effective-config.ts';
import type { StartOptions } from './options.ts';
import { planDemo, planFromConfig, type StartPlan } from './plan.ts';
import { endRunners, removeInstances } from './removal.ts';
import { startServers, type Servers } from './servers.ts';
import { SimulatorClient } from './simulator.ts';
import type { StateFolder } from './state-folder.ts';
import { print, reportStep, type Cleanups } from './steps.ts';
import { Supervisor } from './supervisor.ts';
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
  ingress: number[];
  /** For the other services. */
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
  const servers = await startServers({ ...plan.wants, temporalUiPort: options.portTemporalUi }, context);
  const ports = await choosePorts(options, plan.backends);
  const natsPort = servers.operator && servers.nats ? Number(new URL(servers.nats.url).port) : undefined;
  if (plan.engine) {
    const open = [natsPort, plan.demo ? ports.simulator : undefined];
    await exposeToContainers(
      plan.engine,
      open.filter((port) => port !== undefined),
      cleanups,
    );
  }
  const simulatorUrl = `http://127.0.0.1:${ports.simulator}`;
  const config = writeConfig(plan, { simulatorUrl, servers, natsPort, state });
  const signingKey = servers.operator?.runnerSigningKeySeed;
  const secrets = { ...plan.secrets, ...(signingKey === undefined ? {} : { [SIGNING_KEY_VARIABLE]: signingKey }) };
  const parts: ServiceParts = { config, state, operator: servers.operator, secrets };

  const backends = await openBackends(config);
  const temporal = await TemporalView.connect(config);
  await cleanups.add(() => temporal.close());
  const supervisor = new Supervisor(print);
  cleanups.onKill(() => supervisor.killAll());
  await cleanups.add(() => shutDown(supervisor, temporal, backends));
  // Instances that a killed run left behind: no service that could create one runs yet.
  if (plan.demo) await removeInstances(backends, print);

  const ingressUrl = `http://127.0.0.1:${ports.ingress[0]}`;
  const webhookUrl = `${ingressUrl}/webhooks/github`;
  await reportStep('services', async () => {
    const starting = startServices(supervisor, options.copies, ports, parts);
    if (plan.demo) {
      const publicUrl = plan.engine ? `http://${CONTAINER_HOST}:${ports.simulator}` : simulatorUrl;
      starting.push(supervisor.start(planSimulator(ports.simulator, { publicUrl, webhookUrl }, parts)));
    }
    await Promise.all(starting);
  });
  const bus = await connectBus({
    url: config.nats.url,
    tls: config.nats.tls,
    name: 'baton start',
    credentialsFile: servers.operator?.credentials.observer ?? config.nats.credentials,
  });
  await cleanups.add(() => bus.close());
  const addresses: Record<string, string> = { 'status page': `${ingressUrl}/status` };
  if (config.temporal.ui_url) addresses['Temporal UI'] = config.temporal.ui_url;
  if (plan.demo) addresses['simulator'] = simulatorUrl;
  else addresses['webhooks'] = webhookUrl;
  return { bus, temporal, backends, demo: plan.demo ? new SimulatorClient(simulatorUrl) : undefined, addresses };
}

/** All ports in one call: a second call would find free ports that aren't used yet again. */
async function choosePorts(options: StartOptions, backends: number): Promise<Ports> {
  const { copies, portIngress } = options;
  const [simulator = 0, ...rest] = await findFreePorts(1 + copies * (3 + backends));
  const ingress = rest.splice(0, copies);
  if (portIngress !== undefined) ingress[0] = portIngress;
  return { simulator, ingress, others: rest };
}

function writeConfig(
  plan: StartPlan,
  found: { simulatorUrl: string; servers: Servers; natsPort: number | undefined; state: StateFolder },
): Config {
  const { temporal, nats, operator } = found.servers;
  const addresses = {
    temporal,
    nats: nats && { url: nats.url, account: operator?.accountPublicKey },
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

function startServices(supervisor: Supervisor, copies: number, ports: Ports, parts: ServiceParts): Promise<void>[] {
  const free = [...ports.others];
  const starting: Promise<void>[] = [];
  for (let copy = 0; copy < copies; copy++) {
    const label = (name: string): string => (copies === 1 ? name : `${name}-${copy + 1}`);
    const ingress = ports.ingress[copy] ?? 0;
    const plans = [
      planService('ingress', label('ingress'), ingress, [], parts),
      planService('relay', label('relay'), free.pop() ?? 0, [], parts),
      planService('orchestrator', label('orchestrator'), free.pop() ?? 0, [], parts),
      ...Object.keys(parts.config.backends).map((name) =>
        planService('backend', label(`backend-${name}`), free.pop() ?? 0, [name], parts),
      ),
    ];
    starting.push(...plans.map((plan) => supervisor.start(plan)));
  }
  return starting;
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
