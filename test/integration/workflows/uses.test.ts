import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { dispatcherWorkflowId } from '../../../contracts/workflows/dispatcher.ts';
import { aGroup } from '../../support/a-group.ts';
import { aJob } from '../../support/a-job.ts';
import { until } from '../../support/until.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';

/** More events than a dispatcher's run has before it continues as new. */
const SIGNALS = 2100;

let world: WorkflowWorld;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(() => world.stop());

let jobs = 0;

/** The ids of the jobs that were queued for each group. */
const queuedJobs = new Map<string, number[]>();

/** Queues that many jobs, and waits until each has an instance. @returns the new runners */
async function startRunners(group: string, count: number): Promise<string[]> {
  const before = [...world.edges(group).created];
  const ids = Array.from({ length: count }, () => (jobs += 1));
  queuedJobs.set(group, ids);
  await world.signal(
    group,
    ids.map((id) => ({ type: 'job', job: aJob('queued', id) })),
  );
  return await until(() => {
    const created = world.edges(group).created.filter((runner) => !before.includes(runner));
    expect(created).toHaveLength(count);
    return created;
  });
}

/** Ends the jobs that were queued last: one that still waits when its instance dies would get another. */
async function completeJobs(group: string): Promise<void> {
  const over = (queuedJobs.get(group) ?? []).map((id) => ({ type: 'job' as const, job: aJob('completed', id) }));
  await world.signal(group, over);
}

/** Makes those instances die, after their jobs. */
async function end(group: string, runners: readonly string[]): Promise<void> {
  await completeJobs(group);
  await kill(group, runners);
}

/** Makes those instances die. */
async function kill(group: string, runners: readonly string[]): Promise<void> {
  const died = { version: 1, kind: 'died', id: randomUUID(), at: '', exitCode: 0, reason: 'ended' } as const;
  await Promise.all(
    runners.map((runner) => world.signalRunner(group, runner, [{ type: 'died', died: { ...died, runner } }])),
  );
}

const listRecorded = (group: string): string[] =>
  world.edges(group).uses.flatMap((uses) => uses.map(({ runner }) => runner));

/** Keeps the group's uses from being recorded. @returns lets them be recorded */
function holdUses(group: string): () => void {
  const mayRecord = Promise.withResolvers<void>();
  world.edges(group).beforeRecord = () => mayRecord.promise;
  // Otherwise a test that fails before leaves an activity that never ends.
  onTestFinished(() => mayRecord.resolve());
  return mayRecord.resolve;
}

describe('what instances were used for', () => {
  it('is recorded in batches, and holds up no start while it cannot be recorded', async () => {
    const group = 'uses';
    const record = holdUses(group);
    await world.start(aGroup(group, { max: 10 }));
    const first = await startRunners(group, 4);
    await end(group, first);
    await until(() => expect(world.edges(group).deleted.toSorted()).toEqual(first.toSorted()));
    const second = await startRunners(group, 2);
    record();
    await until(() => expect(listRecorded(group).toSorted()).toEqual(first.toSorted()));
    expect(world.edges(group).uses.length).toBeLessThan(4);
    expect(world.edges(group).uses[0]?.[0]).toMatchObject({ group, backend: 'test' });
    await end(group, second);
    await until(() => expect(listRecorded(group).toSorted()).toEqual([...first, ...second].toSorted()));
  });

  it('is carried over when the dispatcher continues as new', async () => {
    const group = 'uses-anew';
    const record = holdUses(group);
    await world.start(aGroup(group));
    const runners = await startRunners(group, 1);
    await end(group, runners);
    const handle = world.client.workflow.getHandle(dispatcherWorkflowId(group));
    const { runId } = await handle.describe();
    for (let sent = 0; sent < SIGNALS; sent += 100) {
      await Promise.all(Array.from({ length: 100 }, () => world.signal(group, [{ type: 'control', mode: 'active' }])));
    }
    await until(async () => expect((await handle.describe()).runId).not.toBe(runId));
    expect(world.edges(group).uses).toEqual([]);
    record();
    // The activity of the run that ended may record it, too: the bus keeps one record of each runner.
    await until(() => expect(new Set(listRecorded(group))).toEqual(new Set(runners)));
  });

  it('is recorded before the dispatcher of a removed group ends', async () => {
    const group = 'uses-removed';
    const record = holdUses(group);
    await world.start(aGroup(group));
    const runners = await startRunners(group, 1);
    await end(group, runners);
    await until(() => expect(world.edges(group).deleted).toEqual(runners));
    await world.signal(group, [{ type: 'removed' }]);
    const handle = world.client.workflow.getHandle(dispatcherWorkflowId(group));
    expect(await world.getStatus(group)).toMatchObject({ removed: true, waiting: 0 });
    expect((await handle.describe()).status.name).toBe('RUNNING');
    record();
    await handle.result();
    expect(listRecorded(group)).toEqual(runners);
  });

  it('is recorded by the runner itself where its group has no dispatcher', async () => {
    const group = 'uses-orphan';
    await world.start(aGroup(group));
    const runners = await startRunners(group, 1);
    await completeJobs(group);
    await world.client.workflow.getHandle(dispatcherWorkflowId(group)).terminate();
    await kill(group, runners);
    await until(() => expect(listRecorded(group)).toEqual(runners));
  });
});
