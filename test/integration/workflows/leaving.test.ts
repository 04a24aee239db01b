import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import type { RunnerOutcome } from '../../../contracts/workflows/phase.ts';
import type { GroupSettings } from '../../../contracts/workflows/group-settings.ts';
import { aGroup, freshName } from '../../support/a-group.ts';
import { aJob } from '../../support/a-job.ts';
import { recordHistories } from '../../support/histories.ts';
import { RunnerSteps } from '../../support/runner-steps.ts';
import { until } from '../../support/until.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';

let world: WorkflowWorld;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(async () => {
  if (process.env['BATON_RECORD'] !== undefined) await recordHistories(world.client);
  await world?.stop();
});

const handle = (group: string, runner: string) => world.client.workflow.getHandle(runnerWorkflowId(group, runner));

const { online } = new RunnerSteps(() => world);

/** A group with idle runners, as many as `min` says. */
async function startIdle(
  name: string,
  settings: Partial<GroupSettings>,
): Promise<{ group: string; runners: string[] }> {
  const group = freshName(name);
  await world.start(aGroup(group, settings));
  const { created } = world.edges(group);
  await until(() => expect(created.length).toBe(settings.min));
  for (const runner of created) await online(group, runner);
  return { group, runners: [...created] };
}

const queue = (group: string, jobId: number): Promise<void> =>
  world.signal(group, [{ type: 'job', job: aJob('queued', jobId) }]);

describe('a leaving runner', () => {
  it('is not counted as ready: of two that ask at the same time, only the one that min can spare may go', async () => {
    const group = freshName('pair');
    await world.start(aGroup(group, { min: 1, timeToStartMs: 8000 }));
    await queue(group, 1);
    const { created, deleted } = world.edges(group);
    await until(() => expect(created.length).toBe(2));
    for (const runner of created) await online(group, runner);
    // Neither is asked to retire: both ask at the end of their time to start.
    await world.signal(group, [{ type: 'job', job: aJob('completed', 1) }]);
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ ready: 1, leaving: 1 }));
    await until(() => expect(deleted.length).toBe(1));
    // The other one has asked too, and no third one had to be made for it.
    const [kept = ''] = created.filter((runner) => !deleted.includes(runner));
    await until(async () => {
      const { events } = await handle(group, kept).fetchHistory();
      const activities = events?.map(({ activityTaskScheduledEventAttributes: task }) => task?.activityType?.name);
      expect(activities).toContain('requestRetirement');
    });
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ ready: 1, leaving: 0 }));
    expect(created.length).toBe(2);
  });

  it('covers no job: one that comes meanwhile gets a new runner at once', async () => {
    const { group, runners } = await startIdle('meanwhile', { min: 1, max: 2, timeToStartMs: 30_000 });
    const [first = ''] = runners;
    await world.signal(group, [{ type: 'control', mode: 'draining' }]);
    // It has no registration any more, and waits for a job that it may have got just before.
    await until(() => expect(world.edges(group).unregistered).toEqual([first]));
    expect(await world.getStatus(group)).toMatchObject({ ready: 0, leaving: 1 });
    await world.signal(group, [{ type: 'control', mode: 'active' }]);
    await queue(group, 2);
    await until(() => expect(world.edges(group).created.length).toBe(2));
    expect(world.edges(group).deleted).toEqual([]);
    expect(await world.getStatus(group)).toMatchObject({ waiting: 1, ready: 1, leaving: 1 });
    await world.signalRunner(group, first, [{ type: 'unregistered', at: new Date().toISOString() }]);
  });

  it('is renewed while at least half of its time to live is left, its registration first, its successor before it is gone', async () => {
    const { group, runners } = await startIdle('renewal', { min: 1, timeToStartMs: 5000, timeToLiveMs: 30_000 });
    const [first = ''] = runners;
    const order: string[] = [];
    world.edges(group).unregister = () => {
      order.push('registration');
      return 'removed';
    };
    world.edges(group).remove = () => {
      order.push(`instance, of ${world.edges(group).created.length}`);
      return Promise.resolve();
    };
    const outcome: RunnerOutcome = await handle(group, first).result();
    expect(outcome).toMatchObject({ reason: 'renewed', failed: false });
    expect(order.slice(0, 2)).toEqual(['registration', 'instance, of 2']);
    const { startTime, closeTime } = await handle(group, first).describe();
    expect((closeTime?.getTime() ?? Infinity) - startTime.getTime()).toBeLessThan(30_000);
  });

  it('is one that the forge no longer knows: it is replaced, and its instance is removed', async () => {
    const { group, runners } = await startIdle('unknown', { min: 1 });
    const [first = ''] = runners;
    await world.signalRunner(group, first, [{ type: 'unregistered', at: new Date().toISOString() }]);
    await until(() => expect(world.edges(group).deleted).toEqual([first]));
    await expect(handle(group, first).result()).rejects.toThrow(WorkflowFailedError);
    await until(() => expect(world.edges(group).created.length).toBe(2));
  });

  it.each([
    ['refuses for good', ApplicationFailure.nonRetryable('another owner', 'INSTANCE_CONFLICT')],
    ['denies it', ApplicationFailure.retryable('another owner', 'BACKEND_DENIED')],
    ['refuses for now', ApplicationFailure.retryable('another owner', 'BACKEND_REFUSED')],
  ])(
    'stays counted towards max until its instance is gone, and says why, where the backend %s',
    async (_what, refusal) => {
      const { group, runners } = await startIdle('stuck', { min: 1, max: 1 });
      const [first = ''] = runners;
      let refuse = true;
      world.edges(group).remove = () => (refuse ? Promise.reject(refusal) : Promise.resolve());
      await handle(group, first).cancel();
      await until(async () => {
        const details = await handle(group, first).query('__temporal_workflow_metadata');
        expect(JSON.stringify(details)).toContain('another owner');
      });
      await queue(group, 3);
      await until(async () => expect(await world.getStatus(group)).toMatchObject({ waiting: 1, ready: 0, leaving: 1 }));
      expect(world.edges(group).created).toEqual([first]);
      refuse = false;
      await until(() => expect(world.edges(group).created.length).toBe(2));
      expect(world.edges(group).deleted).toEqual([first]);
    },
  );
});
