import { closeSync, fstatSync, lstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { temporal } from '@temporalio/proto';
import Docker from 'dockerode';
import { getDockerStatus } from '../../contracts/lib/docker-status.ts';
import type { Cluster } from './cluster.ts';

/** Something that was written or sent during a run, and where. */
export interface Evidence {
  where: string;
  content: string | Uint8Array;
}

/** Collects what instances write, before it is deleted together with them. */
export interface EvidenceCollector {
  /** All that was collected so far, also of instances that still run. */
  collect(): Promise<Evidence[]>;
  stop(): void;
}

/** Every workflow's history and description, and the current details of open ones, as Temporal's UI shows them. */
export async function collectWorkflows({ client }: Cluster): Promise<Evidence[]> {
  const { History } = temporal.api.history.v1;
  const { DescribeWorkflowExecutionResponse: Description } = temporal.api.workflowservice.v1;
  const found: Evidence[] = [];
  for await (const { workflowId, runId, status } of client.workflow.list()) {
    const handle = client.workflow.getHandle(workflowId, runId);
    // As protobuf: it holds payloads and texts unchanged, and leaves nothing out.
    found.push({ where: `history of ${workflowId}`, content: History.encode(await handle.fetchHistory()).finish() });
    const { raw } = await handle.describe();
    found.push({ where: `description of ${workflowId}`, content: Description.encode(raw).finish() });
    if (status.name !== 'RUNNING') continue;
    const details: unknown = await handle.query('__temporal_workflow_metadata');
    found.push({ where: `details of ${workflowId}`, content: JSON.stringify(details) });
  }
  return found;
}

/** The files in a folder and its subfolders. What is deleted meanwhile is left out, and so are sockets. */
export function readFiles(path: string): Evidence[] {
  try {
    if (lstatSync(path).isDirectory()) return listFolder(path).flatMap((name) => readFiles(join(path, name)));
    return statSync(path).isFile() ? [{ where: path, content: readFileSync(path) }] : [];
  } catch {
    return [];
  }
}

/** Temporal's database file, JetStream's store, and the logs of all services and servers. */
export function collectFiles(cluster: Cluster): Evidence[] {
  const database = readdirSync(cluster.dir).filter((name) => name.startsWith('temporal.db'));
  const always = ['temporal.log', 'nats/nats.log', 'baton.yaml', 'nats/jetstream', 'logs'];
  const found = always.map((name) => ({ name, files: readFiles(join(cluster.dir, name)) }));
  const none = found.filter(({ files }) => files.length === 0);
  if (none.length > 0) throw new Error(`nothing was written to ${none.map(({ name }) => name).join(', ')}`);
  return [...found.flatMap(({ files }) => files), ...database.flatMap((name) => readFiles(join(cluster.dir, name)))];
}

/** The metrics of all services. */
export async function collectMetrics(cluster: Cluster): Promise<Evidence[]> {
  const names = (['ingress', 'relay', 'orchestrator', 'backend'] as const).flatMap((name) => cluster.listCopies(name));
  return Promise.all(
    names.map(async (name) => {
      const url = `${cluster.getUrl(name)}/metrics`;
      return { where: `${name} ${url}`, content: await (await fetch(url)).text() };
    }),
  );
}

/** Everything that the simulator received: logs of steps, webhooks with their answers, its own log. */
export function collectForgeData({ sim }: Cluster): Evidence[] {
  const { state } = sim.sim;
  return [
    ...[...state.jobs.values()].map((job) => {
      const log = job.steps.flatMap((step) => step.log).join('\n');
      return { where: `log of job ${job.id}`, content: `${log}\n${job.summary}\n${JSON.stringify(job.annotations)}` };
    }),
    ...[...state.deliveries.values()].map((delivery) => {
      const { hook: _secret, ...shown } = delivery;
      return { where: `webhook ${delivery.guid}`, content: JSON.stringify(shown) };
    }),
    { where: 'log of the simulator', content: JSON.stringify(sim.log.since()) },
  ];
}

/** Collects the logs of the local backend's agents: an open file can be read after it was deleted. */
export function startLocalCollector(cluster: Cluster): EvidenceCollector {
  const parent = join(cluster.dir, 'local', cluster.installation);
  const logs = new Map<string, number>();
  const openNewLogs = (): void => {
    for (const runner of listFolder(parent)) {
      if (runner.startsWith('.') || logs.has(runner)) continue;
      try {
        logs.set(runner, openSync(join(parent, runner, 'log'), 'r'));
      } catch {
        // The agent has not started yet.
      }
    }
  };
  const timer = setInterval(openNewLogs, 10);
  return {
    collect: () =>
      Promise.resolve([
        ...[...logs].map(([runner, file]) => {
          const content = Buffer.alloc(fstatSync(file).size);
          readSync(file, content, 0, content.length, 0);
          return { where: `agent's log of ${runner}`, content };
        }),
        ...readFiles(parent),
      ]),
    stop: () => {
      clearInterval(timer);
      for (const file of logs.values()) closeSync(file);
    },
  };
}

/** Collects what containers print, and what `docker inspect` shows of them and of their networks. */
export function startContainerCollector(
  cluster: Pick<Cluster, 'installation'>,
  docker = new Docker(),
): EvidenceCollector {
  const filters = { label: [`baton.installation=${cluster.installation}`] };
  const printed = new Map<string, Buffer[]>();
  const inspected: Evidence[] = [];
  /** Undefined for a container that was removed since it was listed. */
  const inspect = (id: string): Promise<Docker.ContainerInspectInfo | undefined> =>
    docker
      .getContainer(id)
      .inspect()
      .catch((error: unknown) => {
        if (getDockerStatus(error) !== 404) throw error;
        return undefined;
      });
  const collect = async (id: string): Promise<void> => {
    const container = docker.getContainer(id);
    const chunks: Buffer[] = [];
    printed.set(id, chunks);
    const info = await inspect(id);
    if (!info) return;
    inspected.push({ where: `inspect of ${info.Name}`, content: JSON.stringify(info) });
    const stream = await container.logs({ follow: true, stdout: true, stderr: true });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
  };
  const collectNew = async (): Promise<void> => {
    for (const { Id: id, State: state } of await docker.listContainers({ all: true, filters })) {
      // Following the log of a container that has not started ends at once.
      if (!printed.has(id) && state !== 'created') await collect(id).catch(() => undefined);
    }
  };
  const timer = setInterval(() => void collectNew().catch(() => undefined), 100);
  return {
    collect: async () => {
      const now: Evidence[] = [];
      for (const { Id: id } of await docker.listContainers({ all: true, filters })) {
        const info = await inspect(id);
        if (info) now.push({ where: `inspect of ${id}`, content: JSON.stringify(info) });
      }
      const networks = JSON.stringify(await docker.listNetworks({ filters }));
      const logs = [...printed].map(([id, chunks]) => ({
        where: `agent's log of ${id}`,
        content: Buffer.concat(chunks),
      }));
      return [...inspected, ...now, ...logs, { where: 'inspect of networks', content: networks }];
    },
    stop: () => clearInterval(timer),
  };
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
