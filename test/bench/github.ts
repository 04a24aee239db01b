import { setTimeout as sleep } from 'node:timers/promises';
import { connectBus, decode } from '../../contracts/lib/nats.ts';
import { instanceCreated } from '../../contracts/messages/runner-signal.ts';
import { wildcards } from '../../contracts/messages/subjects.ts';
import { formatTable } from '../../services/cli/lib/text-table.ts';
import { Cluster } from '../support/cluster.ts';
import { startBenchWorker } from './bench-worker.ts';
import { ms } from './report.ts';
import { percentile } from './scenario.ts';

/** A burst of jobs against a forge with all of GitHub's limits. */
export interface GithubBurst {
  name: string;
  jobs: number;
  apps: number;
  /** Whether 5 % of the calls fail, and the forge is down for two minutes in the middle. */
  moody?: boolean;
}

export const GITHUB_BURSTS: readonly GithubBurst[] = [
  { name: 'github50', jobs: 50, apps: 1 },
  { name: 'github500', jobs: 500, apps: 1 },
  { name: 'github2000', jobs: 2000, apps: 1 },
  { name: 'github2000-moody', jobs: 2000, apps: 1, moody: true },
  { name: 'github2000-4apps', jobs: 2000, apps: 4 },
];

export interface GithubResult {
  jobs: number;
  apps: number;
  /** Jobs that completed with success. */
  ran: number;
  /** Jobs that never completed. */
  lost: number;
  /** Jobs that ran more than once. */
  doubled: number;
  /** Runner workflows that failed. */
  failedRunners: number;
  /** Instances in all: more than jobs are machines that nobody needed. */
  runners: number;
  /** Registrations that the forge refused because the name was taken. */
  conflicts: number;
  /** Calls that the forge refused for a limit. */
  limited: number;
  /** Points of all calls, divided by the number of jobs. */
  pointsPerJob: number;
  /** From the first webhook to the last registration, milliseconds. */
  registeredMs: number;
  /** The same if each registration were made in the first moment that the limits and the outage allow it. */
  limitsMs: number;
  /** From the first webhook to the end of the last job, milliseconds. */
  allRanMs: number;
  /** The most instances that existed while they waited for their registration. */
  maxUnregistered: number;
  /** From an instance's creation to its registration, milliseconds. */
  unregisteredP99Ms: number;
}

/** As a machine of a cloud, but quicker. */
const BOOT_MS = 2000;
const JOB_MS = 5000;
const GROUP = 'github';
const BACKEND = 'agents';
/** GitHub's limits. */
const POINTS_PER_MINUTE = 900;
const POINTS_PER_REGISTRATION = 5;
const REGISTRATIONS_PER_SCOPE = 1500;
const SCOPE_WINDOW_MS = 300_000;
const FAILING_SHARE = 0.05;
const OUTAGE_MS = 120_000;
/** After the limits' own time, this is allowed before the rest counts as lost. */
const PATIENCE_MS = 240_000;

/** Bursts of more jobs with one App take many minutes, in which they use little of the machine. */
const MAX_SHORT_JOBS = 500;
/** A long burst starts this much after another one: the first minute's registrations use the machine fully. */
const STAGGER_MS = 60_000;

/**
 * Runs bursts: the long ones of one App side by side, all others one after the other.
 *
 * @returns their results by name, in the order of `bursts`
 */
export async function runGithubBursts(bursts: readonly GithubBurst[]): Promise<Map<string, GithubResult>> {
  const results = new Map<string, GithubResult>();
  const run = async (burst: GithubBurst): Promise<void> => {
    console.log(`${burst.name}: ${burst.jobs} jobs at once, ${burst.apps} App${burst.apps === 1 ? '' : 's'} …`);
    const result = await runGithubBurst(burst);
    results.set(burst.name, result);
    console.log(`${burst.name}: ${JSON.stringify(result)}`);
  };
  const isLong = ({ jobs, apps }: GithubBurst): boolean => jobs > MAX_SHORT_JOBS && apps === 1;
  for (const burst of bursts) if (!isLong(burst)) await run(burst);
  const long = bursts.filter(isLong);
  await Promise.all(
    long.map(async (burst, index) => {
      await sleep(index * STAGGER_MS);
      await run(burst);
    }),
  );
  return new Map(
    bursts.flatMap(({ name }) => {
      const result = results.get(name);
      return result === undefined ? [] : [[name, result]];
    }),
  );
}

/** One burst in a cluster of its own: the windows of the limits must be empty at the start. */
async function runGithubBurst(burst: GithubBurst): Promise<GithubResult> {
  const cluster = await Cluster.start({
    copies: 1,
    backends: [],
    apps: burst.apps,
    logLevel: 'info',
    config: `
backends:
  ${BACKEND}: { type: local, root: ROOT/${BACKEND} }
groups:
  - { name: ${GROUP}, organization: acme, labels: [${GROUP}], backend: ${BACKEND}, max: 10000 }
`,
  });
  const interrupted = (): void => void cluster.stop().finally(() => process.exit(130));
  process.once('SIGINT', interrupted);
  try {
    await startBenchWorker(cluster, {
      file: 'agents-worker.ts',
      backend: BACKEND,
      args: [String(BOOT_MS), String(JOB_MS)],
    });
    return await measure(cluster, burst);
  } finally {
    process.removeListener('SIGINT', interrupted);
    await cluster.stop();
  }
}

async function measure(cluster: Cluster, { name, jobs, apps, moody = false }: GithubBurst): Promise<GithubResult> {
  const { sim, address, log } = cluster.sim;
  const limitsMs = computeLimitsMs(jobs, apps) + (moody ? OUTAGE_MS : 0);
  const firstEvent = log.since().length;
  const bus = await connectBus({
    url: cluster.nats.url,
    name: 'bench',
    credentialsFile: cluster.operator.credentials.observer,
  });
  const created = new Map<string, number>();
  bus.subscribe(wildcards.created, {
    callback: (_error, message) => {
      const { runner, at } = instanceCreated.parse(decode(message.data));
      created.set(runner, created.get(runner) ?? Date.parse(at));
    },
  });
  await bus.flush();
  const begun = Date.now();
  if (moody) await control(address, 'PUT', '/faults/api', { rate: FAILING_SHARE });
  await control(address, 'POST', '/jobs', { count: jobs, labels: [GROUP] });
  const until = begun + limitsMs * 1.5 + PATIENCE_MS;
  let outage = moody ? begun + computeLimitsMs(jobs, apps) / 2 : Number.POSITIVE_INFINITY;
  let printed = begun;
  for (;;) {
    const all = [...sim.state.jobs.values()];
    const done = all.filter(({ status }) => status === 'completed').length;
    if (done >= jobs || Date.now() > until) break;
    if (Date.now() >= outage) {
      outage = Number.POSITIVE_INFINITY;
      await control(address, 'POST', '/faults/api', { fault: 'outage', forMs: OUTAGE_MS });
    }
    if (Date.now() - printed > 30_000) {
      printed = Date.now();
      console.log(`  ${name}, ${Math.round((printed - begun) / 1000)} s: ${done} of ${jobs} jobs ran`);
    }
    await sleep(250);
  }
  await waitUntilRemoved(cluster);
  await bus.close();
  const calls = log.since(firstEvent, 'api.call');
  const registrations = calls.filter(({ path }) => String(path).endsWith('/generate-jitconfig'));
  const granted = registrations.filter(({ status }) => status === 201);
  const all = [...sim.state.jobs.values()];
  const ran = all.filter(({ conclusion }) => conclusion === 'success');
  const failed = await cluster.runners('Failed');
  return {
    jobs,
    apps,
    ran: ran.length,
    lost: jobs - ran.length,
    doubled: all.filter(({ attempt }) => attempt > 1).length,
    failedRunners: failed.length,
    runners: created.size,
    conflicts: registrations.filter(({ status }) => status === 409).length,
    limited: calls.filter(({ limited }) => limited === true).length,
    pointsPerJob: calls.reduce((sum, { cost }) => sum + Number(cost ?? 0), 0) / jobs,
    registeredMs: Math.max(...granted.map(toTime)) - begun,
    limitsMs,
    allRanMs: Math.max(...ran.map(({ completedAt }) => completedAt ?? 0)) - begun,
    ...measureUnregistered(
      created,
      new Map(log.since(firstEvent, 'runner.registered').map((event) => [String(event['runner']), toTime(event)])),
    ),
  };
}

const toTime = ({ at }: { at: string }): number => Date.parse(at);

/** How many instances waited for their registration, and how long. */
function measureUnregistered(
  created: ReadonlyMap<string, number>,
  registered: ReadonlyMap<string, number>,
): Pick<GithubResult, 'maxUnregistered' | 'unregisteredP99Ms'> {
  const waits = [...created].flatMap(([runner, at]) => {
    const until = registered.get(runner);
    return until === undefined ? [] : [{ at, until }];
  });
  const steps = waits.flatMap(({ at, until }) => [
    { at, change: 1 },
    { at: until, change: -1 },
  ]);
  let now = 0;
  let maxUnregistered = 0;
  for (const { change } of steps.sort((a, b) => a.at - b.at)) {
    now += change;
    maxUnregistered = Math.max(maxUnregistered, now);
  }
  return {
    maxUnregistered,
    unregisteredP99Ms: percentile(
      waits.map(({ at, until }) => until - at),
      99,
    ),
  };
}

/** When the last of so many registrations could be made, if nothing but the limits took time; milliseconds after the first. */
function computeLimitsMs(jobs: number, apps: number): number {
  const perMinute = (apps * POINTS_PER_MINUTE) / POINTS_PER_REGISTRATION;
  const byPoints = Math.floor((jobs - 1) / perMinute) * 60_000;
  const byScope = Math.floor((jobs - 1) / REGISTRATIONS_PER_SCOPE) * SCOPE_WINDOW_MS;
  return Math.max(byPoints, byScope);
}

async function control(address: string, method: string, path: string, body: unknown): Promise<void> {
  const response = await fetch(`${address}/_sim${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok)
    throw new Error(`${method} ${path}: simulator answered ${response.status} ${await response.text()}`);
}

/** Waits until every runner of the group is removed: what its removal asks of the forge counts too. */
async function waitUntilRemoved(cluster: Cluster): Promise<void> {
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until; await sleep(250)) {
    const snapshot = await cluster.dispatcher(GROUP).catch(() => undefined);
    if (snapshot !== undefined && snapshot.busy + snapshot.ready + snapshot.waiting === 0) return;
  }
}

/** The bursts as a table, and what it means. */
export function formatGithubBursts(results: ReadonlyMap<string, GithubResult>): string {
  const heading = ['burst', 'jobs', 'Apps', 'ran', 'lost', 'doubled', 'failed runners', 'runners', '409', 'limited'];
  const rows = [...results].map(([name, result]) => [
    name,
    ...[result.jobs, result.apps, result.ran, result.lost, result.doubled, result.failedRunners].map(String),
    ...[result.runners, result.conflicts, result.limited].map(String),
    result.pointsPerJob.toFixed(2),
    `${(result.registeredMs / 1000).toFixed(0)} s`,
    `${(result.limitsMs / 1000).toFixed(0)} s`,
    result.limitsMs === 0 ? '' : (result.registeredMs / result.limitsMs).toFixed(2),
    `${(result.allRanMs / 1000).toFixed(0)} s`,
    String(result.maxUnregistered),
    ms(result.unregisteredP99Ms),
  ]);
  return formatTable([
    [...heading, 'points/job', 'registered', 'limits alone', 'ratio', 'all ran', 'most waiting', 'waiting p99'],
    ...rows,
  ]);
}
