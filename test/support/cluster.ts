import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import {
  DISPATCHER_STATUS,
  type DispatcherSnapshot,
  dispatcherWorkflowId,
} from '../../contracts/workflows/dispatcher.ts';
import { createOperatorSetup, type OperatorSetup } from '../../deploy/nats/operator.ts';
import { startChild, waitUntilReady, type Child } from '../../deploy/servers/child.ts';
import { startNatsServer, type NatsServer } from '../../deploy/servers/nats.ts';
import { findFreePorts } from '../../deploy/servers/ports.ts';
import { startTemporalServer, type TemporalServer } from '../../deploy/servers/temporal.ts';
import { dataConverter } from '../../services/shared/payload-codec.ts';
import { bundleFakeRunner } from '../../services/simulator/runner/bundle.ts';
import { addHook } from '../../services/simulator/api/hook-routes.ts';
import { startSimulator, type Simulator } from '../../services/simulator/simulator.ts';
import type { SimulatorOptions } from '../../services/simulator/settings.ts';
import { startBalancer, type Balancer } from './balancer.ts';
import { openContainerAccess, removeContainers, buildRunnerImage } from './containers.ts';
import { killInstances } from './instances.ts';
import { withTls } from './tls.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WEBHOOK_SECRET = 'a webhook secret of the e2e tests';
const APP = { id: 5, installation: 1 };
const APP_CONFIG = `app: { id: ${APP.id}, installation: ${APP.installation}, private_key: '\${E2E_APP_KEY}' }`;
const FORGE_TOKEN = 'ghp_a_token_of_the_e2e_tests';
/** What a group's `env` and wrappers may name as `${E2E_HOOK_SECRET}`. */
export const HOOK_SECRET = 'hook-secret-of-the-group-0123456789';

export type ServiceName = 'ingress' | 'relay' | 'orchestrator' | 'backend';

/** One running copy of a service; `relay-1`, `backend-local-2` are the names of such. */
interface Copy {
  service: ServiceName;
  copy: number;
  port: number;
  backend: string | undefined;
}

export interface ClusterOptions {
  /**
   * `backends:` and `groups:` of baton.yaml, and what else it shall say. `ROOT` stands for the cluster's folder; the
   * stand-in for the forge's runner program is in `ROOT/runner`. With {@link ClusterOptions.containers}, `IMAGE` is an image
   * with the stand-in in it, and `NATS_URL` and `INGRESS_URL` how its containers reach NATS and an ingress.
   */
  config: string;
  /** Copies of each service. Default 2. */
  copies?: number;
  /** Names of the backends that get workers. */
  backends: string[];
  simulator?: Partial<SimulatorOptions>;
  /** Sign in to the forge as an App, whose webhook it then is. Default: with a token; the organisation has the webhook. */
  app?: boolean;
  /** Another cluster whose forge this one's installation uses, too. */
  neighbour?: Cluster;
  /** Whether instances are containers: they then reach NATS and the simulator, which listen on this machine's loopback. */
  containers?: boolean;
  /** What backend workers find in their environment besides, such as a cloud's credential. */
  backendEnv?: Record<string, string>;
  /** What every service finds in its environment besides. */
  env?: Record<string, string>;
  installation?: string;
  /** Of the services' logs. Default info. */
  logLevel?: 'info' | 'debug' | 'trace';
  /** NATS speaks TLS alone, as `localhost`, with a certificate that no system trusts. Default false. */
  tls?: boolean;
  /** Temporal's Web UI too. Default false. */
  ui?: boolean;
}

/** Everything at once, for real: servers, services as processes, and the simulator in place of github.com. */
export class Cluster {
  readonly dir: string;
  readonly installation: string;
  readonly sim: Simulator;
  nats: NatsServer;
  temporal: TemporalServer;
  readonly client: Client;
  readonly operator: OperatorSetup;
  readonly services = new Map<string, Child>();
  readonly ingressUrls: string[] = [];
  readonly #copies = new Map<string, Copy>();
  #logLevel = 'info';
  #backendEnv: Record<string, string> = {};
  #env: Record<string, string> = {};
  #sharesForge = false;
  #hookUrl = '';
  #appKey: string | undefined;
  readonly secrets = [WEBHOOK_SECRET, FORGE_TOKEN];
  readonly #connection: Connection;
  readonly #balancer: Balancer;
  readonly #cleanups: (() => Promise<void> | void)[] = [];

  private constructor(parts: {
    dir: string;
    installation: string;
    sim: Simulator;
    nats: NatsServer;
    temporal: TemporalServer;
    connection: Connection;
    operator: OperatorSetup;
    balancer: Balancer;
  }) {
    this.dir = parts.dir;
    this.installation = parts.installation;
    this.sim = parts.sim;
    this.nats = parts.nats;
    this.temporal = parts.temporal;
    this.operator = parts.operator;
    this.#connection = parts.connection;
    this.#balancer = parts.balancer;
    this.client = new Client({ connection: parts.connection, namespace: parts.temporal.namespace, dataConverter });
    this.secrets.push(parts.operator.runnerSigningKeySeed);
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const dir = mkdtempSync(join(tmpdir(), 'baton-e2e-'));
    const copies = options.copies ?? 2;
    const installation = options.installation ?? `e2e-${dir.slice(-6).toLowerCase()}`;
    const operator = await createOperatorSetup(join(dir, 'nats'));
    const [nats, temporal] = await Promise.all([
      startNatsServer({
        dir: join(dir, 'nats'),
        operator: options.tls ? withTls(operator, join(dir, 'nats')) : operator,
      }),
      startTemporalServer({ dir, ui: options.ui ?? false, persist: true }),
    ]);
    // Only now: the servers would take some of them.
    const ports = await findFreePorts(copies);
    const ingressUrls = ports.map((port) => `http://127.0.0.1:${port}`);
    const balancer = await startBalancer(ingressUrls);
    // A single one is asked directly: what the bench measures is its answer, not the balancer's.
    const hookUrl = `${copies === 1 ? ingressUrls[0] : balancer.url}/webhooks/github`;
    const { neighbour } = options;
    const appKeys = options.app ? makeAppKeys() : undefined;
    if (neighbour) {
      addHook(neighbour.sim.sim, { kind: 'organization', target: 'acme', url: hookUrl, secret: WEBHOOK_SECRET });
    }
    const sim =
      neighbour?.sim ??
      (await startSimulator({
        repositories: ['acme/hello'],
        tokens: [FORGE_TOKEN],
        ...(appKeys === undefined ? {} : { app: { id: APP.id, publicKey: appKeys.publicKey } }),
        webhook: { url: hookUrl, secret: WEBHOOK_SECRET },
        ...options.simulator,
      }));
    const connection = await Connection.connect({ address: temporal.address });
    if (options.tls) nats.url = nats.url.replace('127.0.0.1', 'localhost');
    const cluster = new Cluster({ dir, installation, sim, nats, temporal, connection, operator, balancer });
    cluster.ingressUrls.push(...ingressUrls);
    cluster.#sharesForge = neighbour !== undefined;
    cluster.#hookUrl = hookUrl;
    cluster.#appKey = appKeys?.privateKey;
    cluster.#logLevel = options.logLevel ?? 'info';
    cluster.#backendEnv = options.backendEnv ?? {};
    cluster.#env = options.env ?? {};
    try {
      await bundleFakeRunner(join(dir, 'runner'));
      if (options.containers) {
        const door = await openContainerAccess(
          [sim.address, nats.url, balancer.url].map((url) => Number(new URL(url).port)),
        );
        cluster.onStop(() => door.close());
        cluster.onStop(() => removeContainers(installation));
        sim.sim.urls.runner = door.rename(sim.address);
        cluster.#writeConfig(options, {
          IMAGE: await buildRunnerImage(join(dir, 'runner')),
          NATS_URL: door.rename(nats.url),
          INGRESS_URL: door.rename(balancer.url),
        });
      } else {
        cluster.#writeConfig(options, {});
      }
      const starts: Promise<void>[] = [];
      for (let copy = 1; copy <= copies; copy++) {
        starts.push(cluster.startService('ingress', copy, { port: ports[copy - 1] ?? 0 }));
        starts.push(cluster.startService('relay', copy), cluster.startService('orchestrator', copy));
        for (const backend of options.backends) starts.push(cluster.startService('backend', copy, { backend }));
      }
      await Promise.all(starts);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get configFile(): string {
    return join(this.dir, 'baton.yaml');
  }

  /** Environment of a service: what everybody needs, and the secrets of that one alone. */
  environment(service: ServiceName): NodeJS.ProcessEnv {
    const secrets = {
      ingress: { E2E_WEBHOOK_SECRET: WEBHOOK_SECRET },
      relay: {},
      orchestrator: this.#appKey === undefined ? { E2E_FORGE_TOKEN: FORGE_TOKEN } : { E2E_APP_KEY: this.#appKey },
      backend: {
        E2E_SIGNING_KEY: this.operator.runnerSigningKeySeed,
        E2E_HOOK_SECRET: HOOK_SECRET,
        ...this.#backendEnv,
      },
    };
    return {
      PATH: process.env['PATH'],
      HOME: this.dir,
      BATON_CONFIG: this.configFile,
      LOG_LEVEL: this.#logLevel,
      BATON_NATS_CREDENTIALS: this.operator.credentials[service],
      ...this.#env,
      ...secrets[service],
    };
  }

  /** Starts a copy of a service and waits until it is ready. */
  async startService(
    service: ServiceName,
    copy: number,
    { port, backend }: { port?: number; backend?: string | undefined } = {},
  ): Promise<void> {
    const [free = 0] = port === undefined ? await findFreePorts(1) : [port];
    const name = [service, backend, copy].filter(Boolean).join('-');
    this.#copies.set(name, { service, copy, port: free, backend });
    const child = startChild({
      name,
      command: process.execPath,
      args: [join(ROOT, 'services', service, 'main.ts'), ...(backend ? [backend] : []), '--port', String(free)],
      logFile: join(this.dir, 'logs', `${name}.log`),
      env: this.environment(service),
      cwd: this.dir,
      graceSeconds: 40,
    });
    this.services.set(name, child);
    await waitUntilReady(child, async () => (await fetch(`http://127.0.0.1:${free}/readyz`)).ok);
  }

  /** Where a copy of a service answers for its health and metrics. */
  urlOf(name: string): string {
    return `http://127.0.0.1:${this.#copies.get(name)?.port}`;
  }

  /** The names of all copies of a service. */
  copiesOf(service: ServiceName): string[] {
    return [...this.#copies].flatMap(([name, copy]) => (copy.service === service ? [name] : []));
  }

  /** `kill -9`: the copy is gone when this resolves. */
  async killService(name: string): Promise<void> {
    await this.services.get(name)?.kill();
  }

  /** SIGTERM; resolves with the exit code. */
  async stopService(name: string): Promise<number | null | undefined> {
    return (await this.services.get(name)?.stop())?.code;
  }

  /** Starts a copy again that was killed or stopped, on the port it had; resolves when it is ready. */
  async restartService(name: string): Promise<void> {
    const was = this.#copies.get(name);
    if (was === undefined) throw new Error(`there was no ${name}`);
    await this.startService(was.service, was.copy, was);
  }

  /** `kill -9` of the NATS server; `resume` starts it again with the disk and the port it had. */
  async haltNats(): Promise<{ resume: () => Promise<void> }> {
    const port = Number(new URL(this.nats.url).port);
    await this.nats.child?.kill();
    return {
      resume: async () => {
        this.nats = await startNatsServer({ dir: join(this.dir, 'nats'), operator: this.operator, port });
      },
    };
  }

  /** `kill -9` of the Temporal server; `resume` starts it again with the disk and the port it had. */
  async haltTemporal(): Promise<{ resume: () => Promise<void> }> {
    const port = Number(this.temporal.address.split(':').at(-1));
    await this.temporal.child?.kill();
    return {
      resume: async () => {
        this.temporal = await startTemporalServer({ dir: this.dir, ui: false, persist: true, port });
      },
    };
  }

  /** What must be undone at the end, last first. */
  onStop(cleanup: () => Promise<void> | void): void {
    this.#cleanups.push(cleanup);
  }

  async dispatcher(group: string): Promise<DispatcherSnapshot> {
    return await this.client.workflow
      .getHandle(dispatcherWorkflowId(group))
      .query<DispatcherSnapshot>(DISPATCHER_STATUS);
  }

  /** Ids of the runner workflows in that state of execution. */
  async runners(status: 'Running' | 'Completed' | 'Failed' | 'Canceled'): Promise<string[]> {
    const ids: string[] = [];
    const query = `WorkflowType = 'runner' AND ExecutionStatus = '${status}'`;
    for await (const execution of this.client.workflow.list({ query })) ids.push(execution.workflowId);
    return ids;
  }

  /** Takes everything down: services first, so that what they lose is seen in their logs. */
  async stop(): Promise<void> {
    await Promise.all([...this.services.values()].map((child) => child.stop()));
    for (const cleanup of this.#cleanups.toReversed()) await cleanup();
    killInstances(this.dir);
    await this.#balancer.stop();
    if (!this.#sharesForge) await this.sim.close();
    await this.#connection.close();
    await Promise.all([this.nats.stop(), this.temporal.stop()]);
    if (process.env['BATON_KEEP'] === undefined) rmSync(this.dir, { recursive: true, force: true });
    else console.log(`kept: ${this.dir}`);
  }

  #writeConfig(options: ClusterOptions, names: Record<string, string>): void {
    let { config } = options;
    for (const [name, value] of Object.entries({ ...names, ROOT: this.dir })) config = config.replaceAll(name, value);
    const text = `
name: ${this.installation}
forge:
  url: ${this.sim.address}
  ${this.#appKey === undefined ? 'token: ${E2E_FORGE_TOKEN}' : APP_CONFIG}
webhook:
  secrets: ["\${E2E_WEBHOOK_SECRET}"]
  url: ${this.#hookUrl}
temporal:
  address: ${this.temporal.address}${this.temporal.uiUrl ? `\n  ui_url: ${this.temporal.uiUrl}` : ''}
nats:
  url: ${this.nats.url}${options.tls ? `\n  tls: { ca: ${join(this.dir, 'nats', 'tls.crt')} }` : ''}
  account: ${this.operator.accountPublicKey}
  runner_signing_key: \${E2E_SIGNING_KEY}
${config}
`;
    writeFileSync(this.configFile, text);
  }
}

/** An App's key as GitHub gives it to its owner, PEM. */
function makeAppKeys(): { publicKey: string; privateKey: string } {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}
