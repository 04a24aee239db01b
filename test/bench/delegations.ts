import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCredentialMint } from '../../activities/credentials/runner-credential.ts';
import { connectBus, decode, encode, type Bus } from '../../contracts/bus/connection.ts';
import { runnerInbox, subjects, wildcards } from '../../contracts/bus/subjects.ts';
import { instanceCreated, type RunnerSignal } from '../../contracts/messages/runner-signal.ts';
import { textTable } from '../../services/cli/text-table.ts';
import { LABEL, startDelegationWorld, type DelegationWorld } from '../delegation/world.ts';
import { finishJob, startJob } from '../simulator/jobs/finish.ts';
import { noOp, percentile } from './scenario.ts';

const JOBS = 200;
const JOB_MS = 2000;
const BOUND_MS = 300_000;
const PROXY = 'proxy-a';

interface Measured {
  /** When it was handed over, milliseconds since the epoch. */
  at: number;
  ackMs: number;
  runningMs: number | undefined;
  /** How often it began on an ephemeral runner. */
  begun: number;
}

/**
 * 200 jobs handed over at once through the API, each then failed on its proxy as its hook would. Instances are no-ops, which the
 * bench brings online as their agents would; the simulator gives each re-run to one of them. Time to running is from the
 * request until the job begins there.
 *
 * @returns the figures as text
 */
export async function benchDelegations(): Promise<string> {
  const world = await startDelegationWorld({
    delegation: '  requests_per_minute: 100000',
    max: 10_000,
    command: noOp(BOUND_MS),
  });
  try {
    return report(await measure(world));
  } finally {
    await world.cluster.stop();
  }
}

async function measure(world: DelegationWorld): Promise<Map<number, Measured>> {
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
      void comeOnline(world, runner).then(() => idle.push(runner));
    },
  });
  await bus.flush();
  const ids = await world.sim.jobs({ count: JOBS, labels: [LABEL] });
  const runs = new Map<number, Measured>();
  const taken = await Promise.all(ids.map((id) => world.take(id, PROXY)));
  await Promise.all(
    taken.map(async (job) => {
      const at = Date.now();
      await world.delegate(job, PROXY);
      runs.set(job.runId, { at, ackMs: Date.now() - at, runningMs: undefined, begun: 0 });
    }),
  );
  for (const job of taken) await world.sim.complete(job.id, 'failure');
  const until = Date.now() + BOUND_MS;
  while ([...runs.values()].some(({ runningMs }) => runningMs === undefined) && Date.now() < until) {
    for (const job of sim.state.queue) {
      const measured = runs.get(job.run.id);
      const runner = measured === undefined ? undefined : idle.shift();
      if (measured === undefined || runner === undefined) continue;
      startJob(sim, job, { id: 9_000_000, name: runner, groupId: 1, groupName: 'ephemeral' });
      measured.runningMs ??= Date.now() - measured.at;
      measured.begun += 1;
      setTimeout(() => finishJob(sim, job, 'success'), JOB_MS);
    }
    await sleep(20);
  }
  // A second start would follow soon.
  await sleep(JOB_MS + 5000);
  for (const [run, measured] of runs) measured.begun = (sim.state.runs.get(run)?.attempt ?? 1) - 1;
  subscription.unsubscribe();
  await bus.close();
  return runs;
}

/** Says that a runner is online, with a credential as its instance has one. */
async function comeOnline({ cluster }: DelegationWorld, runner: string): Promise<void> {
  const mint = createCredentialMint(cluster.operator.accountPublicKey, cluster.operator.runnerSigningKeySeed);
  const expiresAt = new Date(Date.now() + BOUND_MS).toISOString();
  const bus: Bus = await connectBus({
    url: cluster.nats.url,
    name: runner,
    credentials: await mint({ runner, expiresAt }),
    inboxPrefix: runnerInbox(runner),
  });
  const signal: RunnerSignal = {
    version: 1,
    kind: 'online',
    id: randomUUID(),
    runner,
    at: new Date().toISOString(),
    agentVersion: 'bench',
    host: 'bench',
  };
  await bus.jetstream().publish(subjects.signal(runner, 'online'), encode(signal), { msgID: signal.id });
  await bus.close();
}

function report(runs: ReadonlyMap<number, Measured>): string {
  const all = [...runs.values()];
  const ms = (value: number): string => (value < 10_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);
  const acks = all.map(({ ackMs }) => ackMs);
  const running = all.flatMap(({ runningMs }) => (runningMs === undefined ? [] : [runningMs]));
  return [
    textTable([
      ['delegations', 'lost', 'doubled', '202 p50', '202 p99', 'running p50', 'running p99'],
      [
        String(all.length),
        String(all.length - running.length),
        String(all.filter(({ begun }) => begun > 1).length),
        ms(percentile(acks, 50)),
        ms(percentile(acks, 99)),
        ms(percentile(running, 50)),
        ms(percentile(running, 99)),
      ],
    ]),
    'GitHub grants two changes a second after a burst of 60: a re-run is one, so the last of 200 begin after 70 s at the soonest.',
  ].join('\n');
}
