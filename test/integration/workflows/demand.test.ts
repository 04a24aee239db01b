import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DISPATCHER_JOB_STATUS,
  DISPATCHER_ROSTER,
  dispatcherWorkflowId,
  type JobStatus,
  type Roster,
} from '../../../contracts/workflows/dispatcher.ts';
import { REGISTER_RUNNER, runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import { aGroup, freshName } from '../../support/a-group.ts';
import { aJob } from '../../support/a-job.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';
import { aRunnerSignal } from '../../support/runner-events.ts';
import { until } from '../../support/until.ts';

let world: WorkflowWorld;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(async () => {
  await world.stop();
});

const HOUR_MS = 3_600_000;
const ago = (hours: number): string => new Date(Date.now() - hours * HOUR_MS).toISOString();

const getDispatcher = (group: string) => world.client.workflow.getHandle(dispatcherWorkflowId(group));
const getJobStatus = (group: string, jobId: number): Promise<JobStatus> =>
  getDispatcher(group).query<JobStatus, [number]>(DISPATCHER_JOB_STATUS, jobId);

/** Waits until the group has got so many instances, or more. */
async function expectInstances(group: string, count: number): Promise<void> {
  await until(() => expect(world.edges(group).created.length).toBeGreaterThanOrEqual(count));
}

describe('a job that an environment held', () => {
  it('gets a runner when it is approved after 25 hours', async () => {
    const group = freshName('approved');
    await world.start(aGroup(group));
    await world.signal(group, [
      { type: 'job', job: aJob('queued', 1, { at: ago(25) }) },
      { type: 'job', job: aJob('waiting', 1, { at: ago(25) }) },
    ]);
    await until(async () => expect(await getJobStatus(group, 1)).toMatchObject({ state: 'held' }));
    await world.signal(group, [{ type: 'job', job: aJob('queued', 1) }]);
    await expectInstances(group, 1);
    expect(await world.getStatus(group)).toMatchObject({ waiting: 1, ready: 1 });
  });

  it('gets a runner when it is approved after 29 days, and none for a repeated delivery of before', async () => {
    const group = freshName('approved');
    await world.start(aGroup(group));
    const first = aJob('queued', 1, { at: ago(29 * 24) });
    await world.signal(group, [
      { type: 'job', job: first },
      { type: 'job', job: aJob('waiting', 1, { at: ago(29 * 24) }) },
      { type: 'job', job: { ...first, at: ago(0) } },
      // What is too old waits for nothing, even where the forge sends its delivery again.
      { type: 'job', job: aJob('queued', 2, { at: ago(50), delivery: 'old' }) },
      { type: 'job', job: aJob('queued', 2, { at: ago(0), delivery: 'old' }) },
    ]);
    await until(async () => expect(await getJobStatus(group, 2)).toMatchObject({ state: 'too-old' }));
    expect(await world.getStatus(group)).toMatchObject({ waiting: 0, ready: 0 });
    await world.signal(group, [{ type: 'job', job: aJob('queued', 1) }]);
    await expectInstances(group, 1);
    const roster = await getDispatcher(group).query<Roster>(DISPATCHER_ROSTER);
    expect(roster.waiting.map(({ jobId }) => jobId)).toEqual([1]);
  });
});

/** The runner comes online, and gets no job. One whose time to start was over before that gets another one in its stead. */
async function comeOnline(group: string, runner: string): Promise<void> {
  const handle = world.client.workflow.getHandle(runnerWorkflowId(group, runner));
  try {
    await handle.executeUpdate(REGISTER_RUNNER);
    await world.signalRunner(group, runner, [aRunnerSignal(runner, 'online')]);
  } catch {
    // Too late: it is being removed.
  }
}

/** Lets every runner of the group come online, until the forge has passed its waiting jobs over so often that they are no demand. */
async function passOver(group: string): Promise<void> {
  const known = new Set<string>();
  await until(async () => {
    const fresh = world.edges(group).created.filter((runner) => !known.has(runner));
    for (const runner of fresh) known.add(runner);
    await Promise.all(fresh.map((runner) => comeOnline(group, runner)));
    expect((await world.getStatus(group)).passedOver).not.toBeNull();
  });
}

describe('a job that the forge gives to none of the idle runners', () => {
  it('stops being demand for a while after the second one, says so, and slows no other job down', async () => {
    const group = freshName('passed-over');
    await world.start(aGroup(group, { timeToStartMs: 2000 }));
    await world.signal(group, [{ type: 'job', job: aJob('queued', 1) }]);
    await passOver(group);
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ waiting: 1, ready: 0, busy: 0 }));
    const status = await getJobStatus(group, 1);
    expect(status).toMatchObject({ state: 'passed-over', passedOver: 2 });
    expect(Date.parse(status.nextTryAt ?? '')).toBeGreaterThan(Date.now() + 5 * 60_000);
    expect((await world.getStatus(group)).passedOver).toEqual({ jobs: 1, nextTryAt: status.nextTryAt });

    const before = world.edges(group).created.length;
    await world.signal(group, [{ type: 'job', job: aJob('queued', 2) }]);
    await expectInstances(group, before + 1);
    expect(await getJobStatus(group, 1)).toMatchObject({ state: 'passed-over' });
    expect(await getJobStatus(group, 2)).toMatchObject({ state: 'waiting', position: 1 });
  });

  it('is demand again at once when an operator resumes its group', async () => {
    const group = freshName('passed-over');
    await world.start(aGroup(group, { timeToStartMs: 2000 }));
    await world.signal(group, [{ type: 'job', job: aJob('queued', 1) }]);
    await passOver(group);
    const before = world.edges(group).created.length;
    await world.signal(group, [{ type: 'control', mode: 'active' }]);
    await expectInstances(group, before + 1);
    expect(await getJobStatus(group, 1)).toMatchObject({ state: 'waiting', passedOver: 2 });
  });
});
