import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { temporal } from '@temporalio/proto';
import Docker from 'dockerode';
import type { Cluster } from './cluster.ts';

/** Something that was written or said during a run, and where. */
export interface Exhibit {
  where: string;
  content: string | Uint8Array;
}

/** Keeps what instances write, which is gone together with them. */
export interface Keeper {
  /** All that was kept of the instances of these runners, or of all; those that still run included. */
  exhibits(): Promise<Exhibit[]>;
  stop(): void;
}

/** Every workflow's history, description, and (where it runs) what people see of it in Temporal's UI. */
export async function workflows({ client }: Cluster): Promise<Exhibit[]> {
  const { History } = temporal.api.history.v1;
  const { DescribeWorkflowExecutionResponse: Description } = temporal.api.workflowservice.v1;
  const found: Exhibit[] = [];
  for await (const { workflowId, runId, status } of client.workflow.list()) {
    const handle = client.workflow.getHandle(workflowId, runId);
    // As protobuf: payloads and texts stand in it as they are, nothing is left out.
    found.push({ where: `history of ${workflowId}`, content: History.encode(await handle.fetchHistory()).finish() });
    const { raw } = await handle.describe();
    found.push({ where: `description of ${workflowId}`, content: Description.encode(raw).finish() });
    if (status.name !== 'RUNNING') continue;
    const details: unknown = await handle.query('__temporal_workflow_metadata');
    found.push({ where: `details of ${workflowId}`, content: JSON.stringify(details) });
  }
  return found;
}

/** The files of a folder and of all below it. */
export function filesUnder(folder: string): Exhibit[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
    const path = join(folder, name);
    try {
      return statSync(path).isFile() ? [{ where: path, content: readFileSync(path) }] : [];
    } catch {
      // Removed meanwhile, or a socket.
      return [];
    }
  });
}

/** Temporal's database as it is on disk, JetStream's store, and the logs of all services and servers. */
export function onDisk(cluster: Cluster): Exhibit[] {
  const database = readdirSync(cluster.dir).filter((name) => name.startsWith('temporal.db'));
  const plain = [...database, 'temporal.log', 'nats/nats.log', 'baton.yaml'].map((name) => join(cluster.dir, name));
  return [
    ...plain.map((path) => ({ where: path, content: readFileSync(path) })),
    ...filesUnder(join(cluster.dir, 'nats', 'jetstream')),
    ...filesUnder(join(cluster.dir, 'logs')),
  ];
}

/** What the services tell of themselves over HTTP. */
export async function pages(cluster: Cluster): Promise<Exhibit[]> {
  const names = (['ingress', 'relay', 'orchestrator', 'backend'] as const).flatMap((name) => cluster.copiesOf(name));
  return Promise.all(
    names.map(async (name) => {
      const url = `${cluster.urlOf(name)}/metrics`;
      return { where: `${name} ${url}`, content: await (await fetch(url)).text() };
    }),
  );
}

/** Everything that the simulator was told: logs of steps, webhooks with their answers, its own log. */
export function atTheForge({ sim }: Cluster): Exhibit[] {
  const { state } = sim.sim;
  return [
    ...[...state.jobs.values()].map((job) => {
      const log = job.steps.flatMap((step) => step.log).join('\n');
      return { where: `log of job ${job.id}`, content: `${log}\n${job.summary}\n${JSON.stringify(job.annotations)}` };
    }),
    ...[...state.deliveries.values()].map((delivery) => {
      const { hook: _secret, ...told } = delivery;
      return { where: `webhook ${delivery.guid}`, content: JSON.stringify(told) };
    }),
    { where: 'log of the simulator', content: JSON.stringify(sim.log.since()) },
  ];
}

/** Keeps the logs of the local backend's agents: an open file outlives its removal. */
export function keepLocalLogs(cluster: Cluster): Keeper {
  const parent = join(cluster.dir, 'local', cluster.installation);
  const logs = new Map<string, number>();
  const look = (): void => {
    for (const runner of list(parent)) {
      if (runner.startsWith('.') || logs.has(runner)) continue;
      try {
        logs.set(runner, openSync(join(parent, runner, 'log'), 'r'));
      } catch {
        // It has not been started yet.
      }
    }
  };
  const timer = setInterval(look, 10);
  return {
    exhibits: () =>
      Promise.resolve([
        ...[...logs].map(([runner, file]) => {
          const content = Buffer.alloc(fstatSync(file).size);
          readSync(file, content, 0, content.length, 0);
          return { where: `agent's log of ${runner}`, content };
        }),
        ...filesUnder(parent),
      ]),
    stop: () => {
      clearInterval(timer);
      for (const file of logs.values()) closeSync(file);
    },
  };
}

/** Keeps what containers print, and what `docker inspect` shows of them and of their networks. */
export function keepContainers(cluster: Cluster): Keeper {
  const docker = new Docker();
  const filters = { label: [`baton.installation=${cluster.installation}`] };
  const printed = new Map<string, Buffer[]>();
  const inspected: Exhibit[] = [];
  const look = async (id: string): Promise<void> => {
    const container = docker.getContainer(id);
    const chunks: Buffer[] = [];
    printed.set(id, chunks);
    const info = await container.inspect();
    inspected.push({ where: `inspect of ${info.Name}`, content: JSON.stringify(info) });
    const stream = await container.logs({ follow: true, stdout: true, stderr: true });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
  };
  const lookAtAll = async (): Promise<void> => {
    for (const { Id: id, State: state } of await docker.listContainers({ all: true, filters })) {
      // The log of one that has not started ends before it begins.
      if (!printed.has(id) && state !== 'created') await look(id).catch(() => undefined);
    }
  };
  const timer = setInterval(() => void lookAtAll(), 100);
  return {
    exhibits: async () => {
      const now: Exhibit[] = [];
      for (const { Id: id } of await docker.listContainers({ all: true, filters })) {
        const content = JSON.stringify(await docker.getContainer(id).inspect());
        now.push({ where: `inspect of ${id}`, content });
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

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
