import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { untilExists } from '../support/held-script.ts';
import { Cluster } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { killAgent } from '../support/instances.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { until } from '../support/until.ts';

/** The whole path: two copies of each service, real servers, the local backend and the simulator. */
let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    backends: ['local', 'deaf'],
    simulator: { timing: { lostMs: 2000, sweepMs: 50 } },
    config: `
backends:
  local: { type: local, root: ROOT/local }
  # Instances that never start an agent.
  deaf: { type: local, root: ROOT/local, command: [sleep, '1000'] }
groups:
  - { name: linux, organization: acme, labels: [linux, x64], backend: local, max: 4, runner: { directory: ROOT/runner } }
  - { name: hasty, organization: acme, labels: [hasty], backend: local, max: 4, time_to_start: 12s, runner: { directory: ROOT/runner } }
  - { name: dead, organization: acme, labels: [dead], backend: deaf, max: 1, time_to_start: 1s }
  - { name: short, organization: acme, labels: [short], backend: local, time_to_live: 20s, runner: { directory: ROOT/runner } }
  - { name: owned, organization: acme, repository: hello, labels: [owned], backend: local, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  await cluster?.stop();
});

/** The names of the group's runners, including those that have ended. */
async function listRunners(group: string): Promise<string[]> {
  const names: string[] = [];
  const query = `WorkflowType = 'runner' AND BatonGroup = '${group}'`;
  for await (const { workflowId } of cluster.client.workflow.list({ query })) {
    names.push(workflowId.split('/')[2] ?? '');
  }
  return names;
}

/** The failure of the group's first runner. Its type is the runner's reason. */
async function getFirstFailure(group: string): Promise<ApplicationFailure> {
  const name = await until(async () => {
    const [first] = (await listRunners(group)).toReversed();
    if (first === undefined) throw new Error(`no runner in ${group} yet`);
    return first;
  });
  return await getFailure(group, name);
}

/** The runner's failure. Its type is the runner's reason. */
async function getFailure(group: string, name: string): Promise<ApplicationFailure> {
  try {
    await cluster.client.workflow.getHandle(`runner/${group}/${name}`).result();
  } catch (error) {
    if (error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure) return error.cause;
    throw error;
  }
  throw new Error(`${name} did not fail`);
}

/** How often each job was started, from the simulator's log. */
async function startsByJob(): Promise<Map<number, number>> {
  const starts = new Map<number, number>();
  for (const event of await sim.log('job.started')) {
    const id = Number(event['jobId']);
    starts.set(id, (starts.get(id) ?? 0) + 1);
  }
  return starts;
}

const DEMO = `
name: demo
on: push
jobs:
  build:
    runs-on: [self-hosted, linux]
    strategy: { matrix: { part: [a, b, c] } }
    steps: [{ run: 'echo building \${{ matrix.part }} on $RUNNER_NAME' }]
  broken:
    runs-on: [linux, x64]
    steps: [{ run: 'exit 3' }]
  after:
    needs: build
    runs-on: linux
    steps: [{ run: 'echo done' }]
`;

describe('jobs from webhook to removal', () => {
  it('run once each, to their end, and leave nothing behind', async () => {
    await sim.push(DEMO);
    const jobs = await until(async () => {
      const all = await sim.allJobs();
      expect(all.map((job) => `${job.key}: ${job.conclusion}`).toSorted()).toEqual([
        'after: success',
        'broken: failure',
        'build: success',
        'build: success',
        'build: success',
      ]);
      return all;
    });
    const runners = jobs.map((job) => job.runner);
    expect(new Set(runners).size).toBe(jobs.length);
    for (const runner of runners) expect(runner).toMatch(new RegExp(`^${cluster.installation}-linux-`));
    for (const [, count] of await startsByJob()) expect(count).toBe(1);
    await expectNothingLeft(cluster);
    const described = await cluster.client.workflow.getHandle(`runner/linux/${runners[0]}`).describe();
    expect(described.searchAttributes).toMatchObject({
      BatonGroup: ['linux'],
      BatonPhase: ['gone'],
      BatonRepository: ['acme/hello'],
      BatonJobId: [String(jobs[0]?.id)],
    });
  });

  it('run once each when webhooks are duplicated and out of order', async () => {
    await sim.faults({ duplication: 0.5, reorder: 0.5 });
    const ids = await sim.jobs({ count: 12, labels: ['linux'], run: 'true' });
    const jobs = await sim.untilCompleted(ids);
    await sim.faults({ duplication: 0, reorder: 0 });
    expect(jobs.every((job) => job.conclusion === 'success')).toBe(true);
    const starts = await startsByJob();
    expect(ids.map((id) => starts.get(id))).toEqual(ids.map(() => 1));
    await expectNothingLeft(cluster);
    expect(await cluster.dispatcher('linux')).toMatchObject({ waiting: 0, busy: 0, ready: 0 });
  });

  it('run when all webhooks of a burst arrive in reverse order', async () => {
    await sim.hold();
    const ids = await sim.jobs({ count: 6, labels: ['linux'], run: 'true' });
    await sim.release('reverse');
    await sim.untilCompleted(ids);
    await expectNothingLeft(cluster);
  });

  it('run on runners that are registered at the repository', async () => {
    const ids = await sim.jobs({ labels: ['owned'], run: 'true' });
    const [job] = await sim.untilCompleted(ids);
    expect(job?.runner).toContain('-owned-');
    await expectNothingLeft(cluster);
  });

  it('run on at most max runners at a time; the others wait', async () => {
    const ids = await sim.jobs({ count: 10, labels: ['linux'], run: 'sleep 0.2' });
    await sim.untilCompleted(ids);
    let now = 0;
    let most = 0;
    for (const { type } of await sim.log()) {
      if (type === 'runner.registered') now += 1;
      if (type === 'runner.removed') now -= 1;
      most = Math.max(most, now);
    }
    expect(most).toBeLessThanOrEqual(4);
    expect(most).toBeGreaterThan(1);
    await expectNothingLeft(cluster);
  });
});

describe('the unusual end of a job or runner', () => {
  it('a job that is cancelled before it starts no longer counts as waiting, and starts no runner', async () => {
    const go = join(cluster.dir, 'go');
    const blockers = await sim.jobs({ count: 4, labels: ['linux'], run: untilExists(go) });
    await until(async () => expect((await cluster.dispatcher('linux')).busy).toBe(4));
    const [waiting = 0] = await sim.jobs({ labels: ['linux'], run: 'true' });
    await until(async () => expect((await cluster.dispatcher('linux')).waiting).toBe(1));
    const before = (await listRunners('linux')).length;
    await sim.cancel(waiting);
    await until(async () => expect((await cluster.dispatcher('linux')).waiting).toBe(0));
    writeFileSync(go, '');
    await sim.untilCompleted(blockers);
    await expectNothingLeft(cluster);
    expect(await listRunners('linux')).toHaveLength(before);
    expect(await sim.job(waiting)).toMatchObject({ conclusion: 'cancelled' });
  });

  it('a runner whose job another runner took ends at its time to start: unregistered first, then removed', async () => {
    await sim.hold({ action: 'in_progress' });
    const [job = 0] = await sim.jobs({ labels: ['hasty'], run: 'true' });
    await sim.start(job, 'another-runner');
    const [runner = ''] = await until(async () => {
      const names = await listRunners('hasty');
      expect(names).toHaveLength(1);
      return names;
    });
    await sim.release();
    await sim.complete(job);
    const outcome: unknown = await cluster.client.workflow.getHandle(`runner/hasty/${runner}`).result();
    expect(outcome).toMatchObject({ reason: 'time-to-start', ranJob: false, failed: false });
    await expectNothingLeft(cluster);
    expect(await listRunners('hasty')).toHaveLength(1);
  });

  it('a runner whose agent never starts ends at its time to start, and its group backs off', async () => {
    const [job = 0] = await sim.jobs({ labels: ['dead'] });
    const { type, message } = await getFirstFailure('dead');
    expect(type).toBe('time-to-start');
    expect(message).toBe('no job started within the time to start');
    await until(async () => expect((await cluster.dispatcher('dead')).backoffUntil).not.toBeNull());
    await sim.cancel(job);
    await expectNothingLeft(cluster);
  });

  it('a job that never ends fails at its runner’s time to live', async () => {
    const [job = 0] = await sim.jobs({ labels: ['short'], run: 'sleep 1000' });
    await until(async () => expect((await sim.job(job)).status).toBe('in_progress'));
    const { type, message } = await getFirstFailure('short');
    expect(type).toBe('time-to-live');
    expect(message).toBe('it reached its time to live; its job is lost');
    expect((await sim.untilCompleted([job]))[0]).toMatchObject({ conclusion: 'failure' });
    await expectNothingLeft(cluster);
  });

  it('a killed agent fails its job, and its instance is removed with that reason', async () => {
    const [job = 0] = await sim.jobs({ labels: ['linux'], run: 'sleep 1000' });
    await until(async () => expect((await sim.job(job)).status).toBe('in_progress'));
    const { runner } = await sim.job(job);
    killAgent(cluster.dir, runner ?? '');
    const { type, message } = await getFailure('linux', runner ?? '');
    expect(type).toBe('instance-died');
    expect(message).toMatch(/killed by SIGKILL.*its job is lost/);
    expect((await sim.untilCompleted([job]))[0]).toMatchObject({ conclusion: 'failure' });
    // The program that the agent had started is gone too.
    await expectNothingLeft(cluster);
    const [next = 0] = await sim.jobs({ labels: ['linux'], run: 'true' });
    expect((await sim.untilCompleted([next]))[0]).toMatchObject({ conclusion: 'success' });
    await expectNothingLeft(cluster);
  });

  it('a re-run job gets a new runner', async () => {
    const [job = 0] = await sim.jobs({ labels: ['linux'], run: 'true' });
    await sim.untilCompleted([job]);
    const before = (await sim.allJobs()).length;
    await sim.rerun(job);
    await until(async () => {
      const jobs = await sim.allJobs();
      expect(jobs).toHaveLength(before + 1);
      expect(jobs.every(({ status }) => status === 'completed')).toBe(true);
    });
    await expectNothingLeft(cluster);
  });

  it('a runner that is cancelled in Temporal’s UI is removed, even during a job', async () => {
    const [job = 0] = await sim.jobs({ labels: ['linux'], run: 'sleep 1000' });
    await until(async () => expect((await sim.job(job)).status).toBe('in_progress'));
    const { runner } = await sim.job(job);
    await cluster.client.workflow.getHandle(`runner/linux/${runner}`).cancel();
    await sim.untilCompleted([job]);
    await expectNothingLeft(cluster);
    expect(await cluster.runners('Canceled')).toContain(`runner/linux/${runner}`);
  });
});
