import { setTimeout as sleep } from 'node:timers/promises';
import { decode, type Bus } from '../../contracts/lib/nats.ts';
import { wildcards } from '../../contracts/messages/subjects.ts';
import { instanceCreated } from '../../contracts/messages/runner-signal.ts';
import type { Cluster } from '../support/cluster.ts';
import { finishJob, startJob } from '../../services/simulator/jobs/finish.ts';
import type { Job } from '../../services/simulator/state.ts';
import { computeCpu, measureUsage } from './processes.ts';
import { Profiler, type Profile } from './profile.ts';

export interface Scenario {
  name: 'steady' | 'burst50' | 'burst500' | 'burst5000';
  jobs: number;
  /** Queued jobs per second; 0 for all at once. */
  perSecond: number;
  /**
   * How long each job runs, milliseconds: longer than it takes to create an instance for all jobs, so that removals don't
   * compete with the creations that are measured.
   */
  jobMs: number;
  /** Creations that are missing after this time are lost. */
  boundMs: number;
}

export interface Result {
  jobs: number;
  created: number;
  lost: number;
  ackP50Ms: number;
  ackP99Ms: number;
  /** From the forge's webhook `queued` to the backend's "created". */
  createP50Ms: number;
  createP99Ms: number;
  /** From the first webhook to the last creation, milliseconds. */
  allCreatedMs: number;
  cpuMsPerJob: number;
  /** The same by process. */
  cpuMsPerJobByProcess: Record<string, number>;
  historyEventsPerRunner: number;
  historyBytesPerRunner: number;
  /** Only where Temporal serves its metrics. */
  profile?: Profile | undefined;
}

/** How long an instance runs after its job: about as long as a forge's runner program needs to report the end, and to exit. */
export const EXIT_MS = 500;

/** The command of an instance: it does nothing. */
export const noOp = (jobMs: number): string[] => ['sleep', `'${(jobMs + EXIT_MS) / 1000}'`];

/**
 * Queues jobs at the simulator, and runs them as a forge would: as soon as an instance exists, a waiting job starts on it, and
 * completes `jobMs` later, with its webhooks. Any runner may get any job, so that the k-th creation is compared with the k-th
 * webhook.
 *
 * @param group the label and the name of the scenario's group
 */
export async function runScenario(cluster: Cluster, bus: Bus, scenario: Scenario, group: string): Promise<Result> {
  const { sim } = cluster.sim;
  const created: number[] = [];
  let allCreated: () => void = () => {};
  const done = new Promise<void>((resolve) => (allCreated = resolve));
  const subscription = bus.subscribe(wildcards.created);
  const listening = (async () => {
    for await (const message of subscription) {
      const made = instanceCreated.parse(decode(message.data));
      if (made.group !== group) continue;
      created.push(Date.parse(made.at));
      const job = findWaitingJob(cluster, group);
      if (job) {
        startJob(sim, job, { id: 9_000_000, name: made.runner, groupId: 1, groupName: group });
        setTimeout(() => finishJob(sim, job, 'success'), scenario.jobMs);
      }
      if (created.length === scenario.jobs) allCreated();
    }
  })();
  await bus.flush();

  const firstEvent = cluster.sim.log.since().length;
  const firstDelivery = Math.max(0, ...sim.state.deliveries.keys());
  const before = measureUsage(listProcesses(cluster));
  const { metricsUrl } = cluster.temporal;
  const profiler = metricsUrl === undefined ? undefined : await Profiler.begin(listProcesses(cluster), metricsUrl);
  if (scenario.perSecond === 0) await queueJobs(cluster, group, scenario.jobs);
  else {
    const begun = Date.now();
    for (let index = 0; index < scenario.jobs; index++) {
      await sleep(Math.max(0, begun + (index * 1000) / scenario.perSecond - Date.now()));
      await queueJobs(cluster, group, 1);
    }
  }
  await Promise.race([done, sleep(scenario.boundMs, undefined, { ref: false })]);
  const profile = await profiler?.end(scenario.jobs);
  await waitUntilRemoved(cluster, group);
  const after = measureUsage(listProcesses(cluster));
  subscription.unsubscribe();
  await listening;

  const deliveries = [...sim.state.deliveries.values()].filter(({ id }) => id > firstDelivery);
  const acks = deliveries.map(({ duration }) => duration * 1000);
  const queued = deliveries.filter(({ action }) => action === 'queued').map(({ deliveredAt }) => deliveredAt);
  queued.sort((a, b) => a - b);
  created.sort((a, b) => a - b);
  const waits = created.slice(0, queued.length).map((at, index) => at - (queued[index] ?? at));
  const lost = cluster.sim.log
    .since(firstEvent, 'webhook.sent')
    .filter((event) => Number(event['status']) >= 300 || Number(event['status']) < 200).length;
  return {
    jobs: scenario.jobs,
    created: created.length,
    lost: Math.max(0, scenario.jobs - created.length) + lost,
    ackP50Ms: percentile(acks, 50),
    ackP99Ms: percentile(acks, 99),
    createP50Ms: percentile(waits, 50),
    createP99Ms: percentile(waits, 99),
    allCreatedMs: (created.at(-1) ?? 0) - (queued[0] ?? 0),
    ...computeCpu(before, after, scenario.jobs),
    ...(await measureHistories(cluster, group)),
    profile,
  };
}

/** @param values in any order; @param percent 0 to 100 */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

async function queueJobs(cluster: Cluster, label: string, count: number): Promise<void> {
  await fetch(`${cluster.sim.address}/_sim/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ count, labels: [label] }),
  });
}

function findWaitingJob(cluster: Cluster, label: string): Job | undefined {
  for (const job of cluster.sim.sim.state.queue) if (job.spec.labels.includes(label)) return job;
  return undefined;
}

/** Waits until every runner of the group is removed: the cost of removals is measured too. */
async function waitUntilRemoved(cluster: Cluster, group: string): Promise<void> {
  for (let round = 0; round < 3600; round++) {
    const snapshot = await cluster.dispatcher(group).catch(() => undefined);
    if (snapshot && snapshot.busy + snapshot.ready + snapshot.waiting === 0) return;
    await sleep(250);
  }
}

/** The measured processes: the services and servers, but neither the simulator, which replaces github.com, nor this bench. */
export function listProcesses(cluster: Cluster): Map<string, number> {
  const roots = new Map<string, number>();
  for (const [name, child] of cluster.services) if (child.pid !== undefined) roots.set(name, child.pid);
  if (cluster.nats.child?.pid !== undefined) roots.set('nats', cluster.nats.child.pid);
  if (cluster.temporal.child?.pid !== undefined) roots.set('temporal', cluster.temporal.child.pid);
  return roots;
}

async function measureHistories(
  cluster: Cluster,
  group: string,
): Promise<{ historyEventsPerRunner: number; historyBytesPerRunner: number }> {
  const events: number[] = [];
  const bytes: number[] = [];
  const query = `WorkflowType = 'runner' AND BatonGroup = '${group}' AND ExecutionStatus != 'Running'`;
  for await (const { historyLength, historySize } of cluster.client.workflow.list({ query })) {
    events.push(historyLength);
    bytes.push(historySize ?? 0);
    if (events.length >= 200) break;
  }
  return { historyEventsPerRunner: percentile(events, 50), historyBytesPerRunner: percentile(bytes, 50) };
}
