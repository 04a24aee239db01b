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
import { findFreePort, findFreePorts } from '../../contracts/lib/free-ports.ts';
import { startTemporalServer, type TemporalServer } from '../../deploy/servers/temporal.ts';
import { dataConverter } from '../../services/shared/payload-codec.ts';
import { bundleFakeRunner } from '../../services/simulator/runner/bundle.ts';
import { addHook } from '../../services/simulator/api/hook-routes.ts';
import { startSimulator, type Simulator } from '../../services/simulator/simulator.ts';
import { startBalancer, type Balancer } from './balancer.ts';
import { formatClusterConfig } from './cluster-config.ts';
import type { ClusterOptions } from './cluster-options.ts';
import { createForgeAccess, CLUSTER_TOKEN, type ForgeAccess } from './forge-access.ts';
import { openContainerAccess, removeContainers, buildRunnerImage } from './containers.ts';
import { killInstances } from './instances.ts';
import { restartNats } from './nats.ts';
import { setUpNats } from './set-up-nats.ts';
import { writeTlsConfig } from './tls.ts';
import { until } from './until.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WEBHOOK_SECRET = 'a webhook secret of the e2e tests';
/** The value of `${E2E_HOOK_SECRET}` in a group's `env` and wrappers. */
export const HOOK_SECRET = 'hook-secret-of-the-group-0123456789';

export type ServiceName = 'ingress' | 'relay' | 'orchestrator' | 'backend';

/** One running copy of a service, named like `relay-1` or `backend-local-2`. */
interface Copy {
  service: ServiceName;
  copy: number;
  adminPort: number;
  /** Of an ingress. */
  port: number | undefined;
  backend: string | undefined;
  config: string | undefined;
}

/** A whole installation: servers, services as processes, and the simulator as github.com. */
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
  #access: ForgeAccess = createForgeAccess(0);
  readonly secrets = [WEBHOOK_SECRET, CLUSTER_TOKEN];
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

  /** Starts everything; resolves when all services are ready. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const dir = mkdtempSync(join(tmpdir(), 'baton-e2e-'));
    const copies = options.copies ?? 2;
    const installation = options.installation ?? `e2e-${dir.slice(-6).toLowerCase()}`;
    const operator = await createOperatorSetup(join(dir, 'nats'));
    const [nats, temporal] = await Promise.all([
      startNatsServer({
        dir: join(dir, 'nats'),
        operator: options.tls ? writeTlsConfig(operator, join(dir, 'nats')) : operator,
      }),
      startTemporalServer({
        dir,
        ui: options.ui ?? false,
        metrics: options.temporalMetrics,
        persist: true,
        historyLength: options.historyLength,
      }),
    ]);
    const tls = options.tls ? { ca: join(dir, 'nats', 'tls.crt') } : undefined;
    if (tls) nats.url = nats.url.replace('127.0.0.1', 'localhost');
    await setUpNats({ url: nats.url, tls, credentialsFile: operator.credentials.setup });
    // The simulator's port must be free on the address that containers use, too.
    const simulatorPort = await findFreePort();
    const ports = await findFreePorts(copies);
    const ingressUrls = ports.map((port) => `http://127.0.0.1:${port}`);
    const balancer = await startBalancer(ingressUrls);
    // A single ingress gets webhooks directly: the bench measures its answers, not the balancer's.
    const hookUrl = `${copies === 1 ? ingressUrls[0] : balancer.url}/webhooks/github`;
    const { forgeOwner } = options;
    const access = createForgeAccess(options.apps ?? 0);
    if (forgeOwner) {
      addHook(forgeOwner.sim.sim, { kind: 'organization', target: 'acme', url: hookUrl, secret: WEBHOOK_SECRET });
    }
    const sim =
      forgeOwner?.sim ??
      (await startSimulator({
        repositories: ['acme/hello'],
        ...access.simulator,
        webhook: { url: hookUrl, secret: WEBHOOK_SECRET },
        ...options.simulator,
        port: simulatorPort,
        timing: { busyLagMs: 0, outliveMs: 0, ...options.simulator?.timing },
      }));
    const connection = await Connection.connect({ address: temporal.address });
    const cluster = new Cluster({ dir, installation, sim, nats, temporal, connection, operator, balancer });
    cluster.ingressUrls.push(...ingressUrls);
    cluster.#sharesForge = forgeOwner !== undefined;
    cluster.#hookUrl = hookUrl;
    cluster.#access = access;
    cluster.#logLevel = options.logLevel ?? 'info';
    cluster.#backendEnv = options.backendEnv ?? {};
    cluster.#env = options.env ?? {};
    try {
      await bundleFakeRunner(join(dir, 'runner'));
      if (options.containers) {
        const access = await openContainerAccess(
          [sim.address, nats.url, balancer.url].map((url) => Number(new URL(url).port)),
        );
        cluster.onStop(() => access.close());
        cluster.onStop(() => removeContainers(installation));
        sim.sim.urls.runner = access.rename(sim.address);
        cluster.#writeConfig(options, {
          IMAGE: await buildRunnerImage(join(dir, 'runner')),
          NATS_URL: access.rename(nats.url),
          INGRESS_URL: access.rename(balancer.url),
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

  /** The environment of a service: what all services need, and the secrets of this one only. */
  environment(service: ServiceName): NodeJS.ProcessEnv {
    const secrets = {
      ingress: { E2E_WEBHOOK_SECRET: WEBHOOK_SECRET },
      relay: {},
      orchestrator: this.#access.environment,
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

  /** Starts a copy of a service and waits until it is ready. `config`: its own configuration file. */
  async startService(
    service: ServiceName,
    copy: number,
    {
      port,
      adminPort,
      backend,
      config,
    }: {
      port?: number | undefined;
      adminPort?: number;
      backend?: string | undefined;
      config?: string | undefined;
    } = {},
  ): Promise<void> {
    const free = adminPort ?? (await findFreePort());
    const ports = ['--admin-port', String(free), ...(port === undefined ? [] : ['--port', String(port)])];
    const name = [service, backend, copy].filter(Boolean).join('-');
    this.#copies.set(name, { service, copy, adminPort: free, port, backend, config });
    const child = startChild({
      name,
      command: process.execPath,
      args: [join(ROOT, 'services', service, 'main.ts'), ...(backend ? [backend] : []), ...ports],
      logFile: join(this.dir, 'logs', `${name}.log`),
      env: { ...this.environment(service), ...(config && { BATON_CONFIG: config }) },
      cwd: this.dir,
      graceSeconds: 40,
    });
    this.services.set(name, child);
    await waitUntilReady(child, async () => (await fetch(`http://127.0.0.1:${free}/readyz`)).ok);
  }

  /** The URL of a copy's health and metrics. */
  getUrl(name: string): string {
    return `http://127.0.0.1:${this.#copies.get(name)?.adminPort}`;
  }

  /** The names of all copies of a service. */
  listCopies(service: ServiceName): string[] {
    return [...this.#copies].flatMap(([name, copy]) => (copy.service === service ? [name] : []));
  }

  /** `kill -9`; resolves when the process has ended. */
  async killService(name: string): Promise<void> {
    await this.services.get(name)?.kill();
  }

  /** SIGTERM; resolves with the exit code. */
  async stopService(name: string): Promise<number | null | undefined> {
    return (await this.services.get(name)?.stop())?.code;
  }

  /** Starts a copy that was killed or stopped again, on the same port; resolves when it is ready. */
  async restartService(name: string): Promise<void> {
    const copy = this.#copies.get(name);
    if (copy === undefined) throw new Error(`${name} was never started`);
    await this.startService(copy.service, copy.copy, copy);
  }

  /** `kill -9` of the NATS server; `resume` starts it again with the same files and port. */
  async haltNats(): Promise<{ resume: () => Promise<void> }> {
    const port = Number(new URL(this.nats.url).port);
    await this.nats.child?.kill();
    return {
      resume: async () => {
        this.nats = await restartNats({ dir: join(this.dir, 'nats'), operator: this.operator, port });
      },
    };
  }

  /** `kill -9` of the Temporal server; `resume` starts it again with the same files and port. */
  async haltTemporal(): Promise<{ resume: () => Promise<void> }> {
    const port = Number(this.temporal.address.split(':').at(-1));
    await this.temporal.child?.kill();
    return {
      resume: async () => {
        const start = (): Promise<TemporalServer> =>
          startTemporalServer({ dir: this.dir, ui: false, persist: true, port });
        // The port may be free only a moment after the server is gone.
        this.temporal = await until(start, { what: 'Temporal runs again' });
      },
    };
  }

  /** Adds a cleanup that {@link stop} runs; the last added runs first. */
  onStop(cleanup: () => Promise<void> | void): void {
    this.#cleanups.push(cleanup);
  }

  /** Queries a group's dispatcher. */
  async dispatcher(group: string): Promise<DispatcherSnapshot> {
    return await this.client.workflow
      .getHandle(dispatcherWorkflowId(group))
      .query<DispatcherSnapshot>(DISPATCHER_STATUS);
  }

  /** Ids of the runner workflows with that execution status. */
  async runners(status: 'Running' | 'Completed' | 'Failed' | 'Canceled'): Promise<string[]> {
    const ids: string[] = [];
    const query = `WorkflowType = 'runner' AND ExecutionStatus = '${status}'`;
    for await (const execution of this.client.workflow.list({ query })) ids.push(execution.workflowId);
    return ids;
  }

  /** Stops everything: services before servers. */
  async stop(): Promise<void> {
    await Promise.all([...this.services.values()].map((child) => child.stop()));
    for (const cleanup of this.#cleanups.toReversed()) await cleanup();
    await killInstances(this.dir);
    await this.#balancer.stop();
    if (!this.#sharesForge) await this.sim.close();
    await this.#connection.close();
    await Promise.all([this.nats.stop(), this.temporal.stop()]);
    if (process.env['BATON_KEEP'] === undefined) rmSync(this.dir, { recursive: true, force: true, maxRetries: 3 });
    else console.log(`kept: ${this.dir}`);
  }

  #writeConfig(options: ClusterOptions, names: Record<string, string>): void {
    const parts = {
      names: { ...names, ROOT: this.dir },
      installation: this.installation,
      forge: { url: this.sim.address, access: this.#access.config },
      hookUrl: this.#hookUrl,
      temporal: this.temporal,
      nats: { url: this.nats.url, account: this.operator.runnerAccountPublicKey, folder: join(this.dir, 'nats') },
    };
    writeFileSync(this.configFile, formatClusterConfig(options, parts));
  }
}
