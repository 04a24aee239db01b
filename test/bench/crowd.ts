import { setTimeout as sleep } from 'node:timers/promises';
import { DISPATCHER_ROSTER, dispatcherWorkflowId, type Roster } from '../../contracts/workflows/dispatcher.ts';
import type { Subscription } from 'nats';
import { decode, type Bus } from '../../contracts/lib/nats.ts';
import { wildcards } from '../../contracts/messages/subjects.ts';
import { instanceCreated } from '../../contracts/messages/runner-signal.ts';
import type { Cluster } from '../support/cluster.ts';
import { startJob } from '../../services/simulator/jobs/finish.ts';
import { measureUsage } from './processes.ts';
import { figures } from './report.ts';
import { percentile, listProcesses } from './scenario.ts';

/** Many runners of one group, half of them idle and half busy, on a backend whose instances do nothing. */
export interface Crowd {
  name: string;
  runners: number;
}

export interface CrowdResult {
  runners: number;
  /** Until all runners existed, seconds. */
  filledS: number;
  /** From a webhook to the creation of its instance, while all other runners exist. */
  admitP50Ms: number;
  admitP99Ms: number;
  /** The size of the dispatcher's roster as JSON, and the time of a query for it. */
  rosterKb: number;
  rosterMs: number;
  /** One health check of the group, milliseconds. */
  healthMs: number;
  /** Right after all that. */
  rssMb: Record<string, number>;
  /** With the same runners a minute later, when what the burst left behind has been collected. */
  laterRssMb: Record<string, number>;
}

const REST_MS = 60_000;
/** Number of jobs that are admitted, one per second, while the crowd exists. */
const ADMISSIONS = 30;
export const CROWD_BACKEND = 'nothing';

/** The line of a crowd's group in `groups:`. */
export function formatCrowdGroup({ name, runners }: Crowd): string {
  const max = runners + ADMISSIONS;
  const times = 'time_to_start: 12h, time_to_live: 24h, health_check_interval: 12h';
  return `  - { name: ${name}, organization: acme, labels: [${name}], backend: ${CROWD_BACKEND}, min: ${runners / 2}, max: ${max}, ${times} }`;
}

/** The instances that were created, by group, in the order of their creation. */
export class Creations {
  readonly #groups = new Map<string, { created: number[]; names: string[] }>();
  readonly #subscription: Subscription;

  private constructor(subscription: Subscription) {
    this.#subscription = subscription;
  }

  /** Begin before the backend's worker starts: the groups' idle runners wait for it, and a creation is published once. */
  static async begin(bus: Bus): Promise<Creations> {
    const creations = new Creations(bus.subscribe(wildcards.created));
    void creations.#listen();
    await bus.flush();
    return creations;
  }

  /** When they were created, and the names of their runners; both grow. */
  get(group: string): { created: number[]; names: string[] } {
    const known = this.#groups.get(group) ?? { created: [], names: [] };
    this.#groups.set(group, known);
    return known;
  }

  stop(): void {
    this.#subscription.unsubscribe();
  }

  async #listen(): Promise<void> {
    for await (const message of this.#subscription) {
      const { group, at, runner } = instanceCreated.parse(decode(message.data));
      const { created, names } = this.get(group);
      created.push(Date.parse(at));
      names.push(runner);
    }
  }
}

/** Fills the group, then measures admissions, a query and a health check of the full group. */
export async function runCrowd(cluster: Cluster, creations: Creations, crowd: Crowd): Promise<CrowdResult> {
  const { sim } = cluster.sim;
  const { created, names } = creations.get(crowd.name);
  const filled = async (count: number): Promise<void> => {
    for (let printed = 0; created.length < count;) {
      await sleep(250);
      if (created.length < printed + 1000) continue;
      printed = created.length;
      console.log(`  ${printed} runners`);
    }
  };
  const begun = Date.now();
  // The idle half needs no job. Each job of the other half takes an idle runner, which the dispatcher replaces.
  const busy = crowd.runners / 2;
  await filled(crowd.runners - busy);
  const queued = await queueJobs(cluster, crowd.name, busy);
  await filled(crowd.runners);
  for (const [index, id] of queued.entries()) {
    const job = sim.state.jobs.get(id);
    const name = names[index];
    if (job && name !== undefined) startJob(sim, job, { id: 9_000_000 + index, name, groupId: 1, groupName: 'crowd' });
    if (index % 100 === 99) await sim.webhooks.idle();
  }
  for (;;) {
    const now = await cluster.dispatcher(crowd.name).catch(() => undefined);
    if (now?.busy === busy) break;
    await sleep(250);
  }
  const filledS = (Date.now() - begun) / 1000;

  const waits: number[] = [];
  for (let index = 0; index < ADMISSIONS; index++) {
    const before = created.length;
    const at = Date.now();
    await queueJobs(cluster, crowd.name, 1);
    while (created.length === before) await sleep(2);
    waits.push((created.at(-1) ?? 0) - at);
    await sleep(Math.max(0, at + 1000 - Date.now()));
  }
  const queriedAt = Date.now();
  const handle = cluster.client.workflow.getHandle(dispatcherWorkflowId(crowd.name));
  const roster = await handle.query<Roster>(DISPATCHER_ROSTER);
  const rosterMs = Date.now() - queriedAt;
  const healthMs = await checkHealth(cluster, crowd.name);
  const rssMb = measureRss(cluster);
  await sleep(REST_MS);
  return {
    runners: crowd.runners,
    filledS,
    admitP50Ms: percentile(waits, 50),
    admitP99Ms: percentile(waits, 99),
    rosterKb: Math.round(JSON.stringify(roster).length / 1024),
    rosterMs,
    healthMs,
    rssMb,
    laterRssMb: measureRss(cluster),
  };
}

function measureRss(cluster: Cluster): Record<string, number> {
  const usage = [...measureUsage(listProcesses(cluster))];
  return Object.fromEntries(usage.map(([name, { rss }]) => [name, Math.round(rss / 1024 ** 2)]));
}

/** The figures of each crowd, and its memory. */
export function formatCrowds(results: ReadonlyMap<string, CrowdResult>): string {
  return [...results]
    .flatMap(([name, { runners, filledS, admitP50Ms, admitP99Ms, rosterKb, rosterMs, healthMs, ...memory }]) => [
      `${name}: ${runners} runners of one group in ${filledS.toFixed(0)} s; an admission p50 ${admitP50Ms} ms, p99 ${admitP99Ms} ms;`,
      `  query of the dispatcher's roster: ${rosterKb} kB in ${rosterMs} ms; a health check ${(healthMs / 1000).toFixed(1)} s`,
      `  RSS (MB): ${figures(memory.rssMb, 0)}`,
      `  a minute later: ${figures(memory.laterRssMb, 0)}`,
    ])
    .join('\n');
}

async function checkHealth(cluster: Cluster, group: string): Promise<number> {
  const schedule = cluster.client.schedule.getHandle(`health-check/${group}`);
  const before = (await schedule.describe()).info.numActionsTaken;
  const begun = Date.now();
  await schedule.trigger();
  for (;;) {
    await sleep(100);
    const { info } = await schedule.describe();
    const last = info.recentActions.at(-1)?.action;
    if (info.numActionsTaken === before || last === undefined) continue;
    await cluster.client.workflow.getHandle(last.workflow.workflowId).result();
    return Date.now() - begun;
  }
}

async function queueJobs(cluster: Cluster, label: string, count: number): Promise<number[]> {
  const response = await fetch(`${cluster.sim.address}/_sim/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ count, labels: [label] }),
  });
  const body: unknown = await response.json();
  return typeof body === 'object' && body !== null && 'jobIds' in body && Array.isArray(body.jobIds)
    ? body.jobIds.map(Number)
    : [];
}
