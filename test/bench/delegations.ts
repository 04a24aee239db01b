import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCredentialMint } from '../../activities/credentials/runner-credential.ts';
import { connectBus, decode, encode, type Bus } from '../../contracts/lib/nats.ts';
import { runnerInbox, subjects, wildcards } from '../../contracts/messages/subjects.ts';
import { instanceCreated, type RunnerSignal } from '../../contracts/messages/runner-signal.ts';
import { formatTable } from '../../services/cli/lib/text-table.ts';
import { LENIENT } from '../support/simulator.ts';
import { LABEL, startDelegationWorld, type DelegationWorld } from '../e2e/delegation/world.ts';
import { finishJob, startJob } from '../../services/simulator/jobs/finish.ts';
import { computeCpu, measureUsage, type CpuFigures } from './processes.ts';
import { figures, ms } from './report.ts';
import { noOp, percentile, listProcesses } from './scenario.ts';

const JOB_MS = 2000;
/** How long the credential of one signal is valid. */
const CREDENTIAL_MS = 60_000;
/** When the rest counts as lost. Two cores do about five delegations a second. */
const BOUND_MS = { least: 300_000, perJob: 600 };
const PROXY = 'proxy-a';

interface Measured {
  /** Time of its hand-over, milliseconds since the epoch. */
  at: number;
  ackMs: number;
  runningMs: number | undefined;
  /** Number of re-runs. */
  reruns: number;
}

/** The figures of concurrent delegations. */
export interface DelegationsResult {
  delegations: number;
  /** Number of jobs that never started on an ephemeral runner. */
  lost: number;
  /** Number of jobs that were run again more than once. */
  doubled: number;
  /** From a request to its 202, at the client, with all requests made concurrently. */
  ackP50Ms: number;
  ackP99Ms: number;
  /** From a request to the start of its job on an ephemeral runner. */
  runningP50Ms: number;
  runningP99Ms: number;
  /** Until the last delegation has ended, milliseconds. */
  allOverMs: number;
  cpuMsPerJob: number;
  cpuMsPerJobByProcess: Record<string, number>;
  /** Events of a delegation's workflow, the median. */
  historyEvents: number;
  /** Cost of a delegation's calls to the forge: 1 for a read, 5 for a change. Its runner's registration, 5, is not included. */
  forgePoints: number;
}

/**
 * Hands jobs over concurrently through the API, and fails each on its proxy, as its hook would. Instances do nothing: the bench
 * sends `online` for them, as their agents would, and starts each re-run on one of them.
 */
export async function benchDelegations(count: number): Promise<DelegationsResult> {
  const boundMs = Math.max(BOUND_MS.least, BOUND_MS.perJob * count);
  const world = await startDelegationWorld({
    delegation: '  requests_per_minute: 100000',
    max: 10_000,
    command: noOp(boundMs),
    simulator: { ...LENIENT, timing: { ...LENIENT.timing, sweepMs: 50 } },
  });
  const interrupted = (): void => void world.cluster.stop().finally(() => process.exit(130));
  process.once('SIGINT', interrupted);
  try {
    const before = measureUsage(listProcesses(world.cluster));
    const begun = Date.now();
    const runs = await measure(world, count, boundMs);
    const histories = await waitUntilCompleted(world, count, boundMs);
    const allOverMs = Date.now() - begun;
    for (const [run, measured] of runs) {
      measured.reruns = (world.cluster.sim.sim.state.runs.get(run)?.attempt ?? 1) - 1;
    }
    return {
      ...summarize([...runs.values()]),
      allOverMs,
      ...computeCpu(before, measureUsage(listProcesses(world.cluster)), count),
      historyEvents: percentile(histories, 50),
      forgePoints: countPoints(world) / count,
    };
  } finally {
    process.removeListener('SIGINT', interrupted);
    await world.cluster.stop();
  }
}

/** A table with one line for each run, and the CPU time of each process in the last one. */
export function delegationsText(results: readonly DelegationsResult[]): string {
  const heading = ['delegations', 'lost', 'doubled', '202 p50', '202 p99', 'running p50', 'running p99', 'all over'];
  const rows = results.map((result) => [
    ...[result.delegations, result.lost, result.doubled].map(String),
    ...[result.ackP50Ms, result.ackP99Ms, result.runningP50Ms, result.runningP99Ms, result.allOverMs].map(ms),
    `${result.cpuMsPerJob.toFixed(1)} ms`,
    String(result.historyEvents),
    result.forgePoints.toFixed(1),
  ]);
  return [
    formatTable([[...heading, 'CPU/job', 'events', 'forge points'], ...rows]),
    '',
    `CPU of ${results.length === 1 ? 'delegations' : 'the last run'} (ms a job): ${figures(results.at(-1)?.cpuMsPerJobByProcess ?? {}, 1)}`,
  ].join('\n');
}

/** The cost of all calls to the forge. */
function countPoints({ cluster }: DelegationWorld): number {
  const calls = cluster.sim.log.since(0, 'api.call');
  return calls.reduce((sum, { cost }) => sum + Number(cost), 0);
}

/** Waits until all delegations have completed. @returns the number of events of each */
async function waitUntilCompleted({ cluster }: DelegationWorld, wanted: number, boundMs: number): Promise<number[]> {
  const query = `WorkflowType = 'delegation' AND ExecutionStatus = 'Completed'`;
  for (const until = Date.now() + boundMs; ; await sleep(500)) {
    const { count } = await cluster.client.workflow.count(query);
    if (count >= wanted || Date.now() > until) break;
  }
  const events: number[] = [];
  for await (const { historyLength } of cluster.client.workflow.list({ query })) events.push(historyLength);
  return events;
}

async function measure(world: DelegationWorld, count: number, boundMs: number): Promise<Map<number, Measured>> {
  const { cluster } = world;
  const { sim } = cluster.sim;
  const bus = await connectBus({
    url: cluster.nats.url,
    name: 'bench',
    credentialsFile: cluster.operator.credentials.observer,
  });
  const idle: string[] = [];
  const subscription = bus.subscribe(wildcards.created, {
    callback: (_error, message) => {
      const { runner } = instanceCreated.parse(decode(message.data));
      void publishAsAgent(world, runner, { kind: 'online', agentVersion: 'bench', host: 'bench' }).then(() =>
        idle.push(runner),
      );
    },
  });
  await bus.flush();
  const ids = await world.sim.jobs({ count, labels: [LABEL] });
  const runs = new Map<number, Measured>();
  const taken = await Promise.all(ids.map((id) => world.take(id, PROXY)));
  await Promise.all(
    taken.map(async (job) => {
      const at = Date.now();
      await world.delegate(job, PROXY);
      runs.set(job.runId, { at, ackMs: Date.now() - at, runningMs: undefined, reruns: 0 });
    }),
  );
  for (const job of taken) await world.sim.complete(job.id, 'failure');
  const until = Date.now() + boundMs;
  while ([...runs.values()].some(({ runningMs }) => runningMs === undefined) && Date.now() < until) {
    for (const job of sim.state.queue) {
      const measured = runs.get(job.run.id);
      const runner = measured === undefined ? undefined : idle.shift();
      if (measured === undefined || runner === undefined) continue;
      startJob(sim, job, { id: 9_000_000, name: runner, groupId: 1, groupName: 'ephemeral' });
      measured.runningMs ??= Date.now() - measured.at;
      setTimeout(() => {
        finishJob(sim, job, 'success');
        void publishAsAgent(world, runner, {
          kind: 'exited',
          code: 0,
          signal: null,
          logTail: 'completed with result: Succeeded',
        });
      }, JOB_MS);
    }
    await sleep(20);
  }
  // The last job ends, its runner exits; and a job that is run twice by mistake would start again by then.
  await sleep(JOB_MS + 5000);
  subscription.unsubscribe();
  await bus.close();
  return runs;
}

/** Publishes a signal of a runner as its agent would, with the credentials of its instance. */
async function publishAsAgent(
  { cluster }: DelegationWorld,
  runner: string,
  what:
    { kind: 'online'; agentVersion: string; host: string } | { kind: 'exited'; code: 0; signal: null; logTail: string },
): Promise<void> {
  const mint = createCredentialMint(cluster.operator.runnerAccountPublicKey, cluster.operator.runnerSigningKeySeed);
  const expiresAt = new Date(Date.now() + CREDENTIAL_MS).toISOString();
  const bus: Bus = await connectBus({
    url: cluster.nats.url,
    name: runner,
    credentials: await mint({ runner, expiresAt }),
    inboxPrefix: runnerInbox(runner),
  });
  const signal: RunnerSignal = { version: 1, id: randomUUID(), runner, at: new Date().toISOString(), ...what };
  await bus.jetstream().publish(subjects.signal(runner, what.kind), encode(signal), { msgID: signal.id });
  await bus.close();
}

function summarize(
  all: readonly Measured[],
): Omit<DelegationsResult, 'allOverMs' | 'historyEvents' | 'forgePoints' | keyof CpuFigures> {
  const acks = all.map(({ ackMs }) => ackMs);
  const running = all.flatMap(({ runningMs }) => (runningMs === undefined ? [] : [runningMs]));
  return {
    delegations: all.length,
    lost: all.length - running.length,
    doubled: all.filter(({ reruns }) => reruns > 1).length,
    ackP50Ms: percentile(acks, 50),
    ackP99Ms: percentile(acks, 99),
    runningP50Ms: percentile(running, 50),
    runningP99Ms: percentile(running, 99),
  };
}
