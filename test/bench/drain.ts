import { setTimeout as sleep } from 'node:timers/promises';
import { connectBus } from '../../contracts/lib/nats.ts';
import { DISPATCHER_EVENTS, dispatcherWorkflowId, type DispatcherEvent } from '../../contracts/workflows/dispatcher.ts';
import { formatTable } from '../../services/cli/lib/text-table.ts';
import { Cluster } from '../support/cluster.ts';
import { LENIENT } from '../support/simulator.ts';
import { startBenchWorker } from './bench-worker.ts';
import { ms } from './report.ts';
import { runScenario, type Result, type Scenario } from './scenario.ts';

/** Idle runners of each of the two groups. */
const IDLE = 300;
/** The burst of another group meanwhile. */
const BURST: Scenario = { name: 'burst50', jobs: 200, perSecond: 0, jobMs: 20_000, boundMs: 300_000 };
const WARM_UP: Scenario = { ...BURST, jobs: 5, jobMs: 2000 };
const BURST_GROUP = 'burst';
const DRAINED_GROUP = 'drained';
const SHRUNK_GROUP = 'shrunk';
const FILL_BOUND_MS = 300_000;
const DRAIN_BOUND_MS = 600_000;

/** The figures of a burst beside hundreds of retirements. */
export interface DrainResult {
  /** Idle runners that retired, of both groups. */
  retired: number;
  /** Of them, those that failed instead. */
  failed: number;
  /** Registrations that are left on the forge. */
  left: number;
  jobs: number;
  lost: number;
  aloneP50Ms: number;
  aloneP99Ms: number;
  besideP50Ms: number;
  besideP99Ms: number;
  /** Until the last idle runner was gone, milliseconds. Each waits up to a minute for a job that the forge may report late. */
  drainedMs: number;
}

/**
 * Fills two groups with idle, registered runners, measures a burst of jobs in a third group, and measures the same burst again while
 * one group is drained and the other one's `min` goes down to 0.
 */
export async function benchDrain(): Promise<DrainResult> {
  const idle = (name: string): string =>
    `  - { name: ${name}, organization: acme, labels: [${name}], backend: agents, min: ${IDLE}, max: ${IDLE} }`;
  const cluster = await Cluster.start({
    copies: 1,
    backends: [],
    simulator: LENIENT,
    config: `
backends:
  agents: { type: local, root: ROOT/agents }
  nothing: { type: local, root: ROOT/nothing }
groups:
${idle(DRAINED_GROUP)}
${idle(SHRUNK_GROUP)}
  - { name: ${BURST_GROUP}, organization: acme, labels: [${BURST_GROUP}], backend: nothing, max: 1000 }
`,
  });
  const interrupted = (): void => void cluster.stop().finally(() => process.exit(130));
  process.once('SIGINT', interrupted);
  try {
    await startBenchWorker(cluster, { file: 'agents-worker.ts', backend: 'agents', args: ['0', '1000'] });
    await startBenchWorker(cluster, { file: 'nothing-worker.ts', backend: 'nothing' });
    return await measure(cluster);
  } finally {
    process.removeListener('SIGINT', interrupted);
    await cluster.stop();
  }
}

async function measure(cluster: Cluster): Promise<DrainResult> {
  const bus = await connectBus({
    url: cluster.nats.url,
    name: 'bench',
    credentialsFile: cluster.operator.credentials.observer,
  });
  await waitFor(
    async () => (await countRunners(cluster, 'idle')) >= 2 * IDLE,
    FILL_BOUND_MS,
    'all idle runners online',
  );
  console.log(`  ${2 * IDLE} idle runners`);
  await runScenario(cluster, bus, WARM_UP, BURST_GROUP);
  const alone = await runScenario(cluster, bus, BURST, BURST_GROUP);
  console.log(`  the burst alone: ${describe(alone)}`);

  const begun = Date.now();
  const { settings } = await cluster.dispatcher(SHRUNK_GROUP);
  await Promise.all([
    signal(cluster, DRAINED_GROUP, { type: 'control', mode: 'draining' }),
    signal(cluster, SHRUNK_GROUP, { type: 'configure', settings: { ...settings, min: 0 } }),
  ]);
  const drained = (async () => {
    const gone = async (group: string): Promise<boolean> => (await cluster.dispatcher(group)).ready === 0;
    await waitFor(
      async () => (await gone(DRAINED_GROUP)) && (await gone(SHRUNK_GROUP)),
      DRAIN_BOUND_MS,
      'no idle runner left',
    );
    return Date.now() - begun;
  })();
  const [beside, drainedMs] = await Promise.all([runScenario(cluster, bus, BURST, BURST_GROUP), drained]);
  await bus.close();
  const groups = `BatonGroup IN ('${DRAINED_GROUP}', '${SHRUNK_GROUP}')`;
  const ended = `WorkflowType = 'runner' AND ${groups} AND ExecutionStatus`;
  return {
    retired: (await cluster.client.workflow.count(`${ended} = 'Completed'`)).count,
    failed: (await cluster.client.workflow.count(`${ended} = 'Failed'`)).count,
    left: cluster.sim.sim.state.runners.size,
    jobs: BURST.jobs,
    lost: alone.lost + beside.lost,
    aloneP50Ms: alone.createP50Ms,
    aloneP99Ms: alone.createP99Ms,
    besideP50Ms: beside.createP50Ms,
    besideP99Ms: beside.createP99Ms,
    drainedMs,
  };
}

/** A table of one line. */
export function drainText(result: DrainResult): string {
  const { retired, failed, left, jobs, lost, aloneP50Ms, aloneP99Ms, besideP50Ms, besideP99Ms, drainedMs } = result;
  return formatTable([
    [
      'retired',
      'failed',
      'left',
      'jobs',
      'lost',
      'alone p50',
      'alone p99',
      'beside p50',
      'beside p99',
      'ratio',
      'drained',
    ],
    [
      ...[retired, failed, left, jobs, lost].map(String),
      ...[aloneP50Ms, aloneP99Ms, besideP50Ms, besideP99Ms].map(ms),
      (besideP99Ms / aloneP99Ms).toFixed(2),
      ms(drainedMs),
    ],
  ]);
}

function describe({ createP50Ms, createP99Ms }: Result): string {
  return `p50 ${ms(createP50Ms)}, p99 ${ms(createP99Ms)}`;
}

async function signal(cluster: Cluster, group: string, event: DispatcherEvent): Promise<void> {
  await cluster.client.workflow.getHandle(dispatcherWorkflowId(group)).signal(DISPATCHER_EVENTS, [event]);
}

async function countRunners(cluster: Cluster, phase: string): Promise<number> {
  const query = `WorkflowType = 'runner' AND BatonPhase = '${phase}' AND ExecutionStatus = 'Running'`;
  return (await cluster.client.workflow.count(query)).count;
}

async function waitFor(check: () => Promise<boolean>, boundMs: number, what: string): Promise<void> {
  for (const until = Date.now() + boundMs; !(await check()); await sleep(500)) {
    if (Date.now() > until) throw new Error(`waited ${boundMs / 1000} s for: ${what}`);
  }
}
