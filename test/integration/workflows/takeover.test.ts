import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DISPATCHER_ROSTER, dispatcherWorkflowId, type Roster } from '../../../contracts/workflows/dispatcher.ts';
import { REGISTER_RUNNER, runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import type { GroupSettings } from '../../../contracts/workflows/group-settings.ts';
import { aGroup, freshName } from '../../support/a-group.ts';
import { aJob } from '../../support/a-job.ts';
import { recordHistory } from '../../support/histories.ts';
import { RunnerSteps } from '../../support/runner-steps.ts';
import { until } from '../../support/until.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';

/** Groups whose last dispatcher's history is recorded. */
const RECORDED = ['full', 'forgotten'];

let world: WorkflowWorld;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(async () => {
  if (process.env['BATON_RECORD'] !== undefined) {
    for (const group of RECORDED) {
      await recordHistory(world.client, { workflowId: dispatcherWorkflowId(group) }, `dispatcher-${group}`);
    }
  }
  await world.stop();
});

const { queue, living, runners, begin, finish } = new RunnerSteps(() => world);

const terminateDispatcher = (group: string): Promise<unknown> =>
  world.client.workflow.getHandle(dispatcherWorkflowId(group)).terminate('by hand');

/** Counts the most runners that the group has at once, from now on. */
function watchMost(group: string): () => number {
  let most = living(group).length;
  world.edges(group).create = () => {
    most = Math.max(most, living(group).length + 1);
    return Promise.resolve();
  };
  return () => most;
}

/** A group at its max of two, both busy. */
async function startFull(name: string): Promise<{ settings: GroupSettings; busy: string[]; ids: number[] }> {
  const settings = aGroup(name, { max: 2 });
  await world.start(settings);
  const ids = await queue(name, 2);
  const busy = await runners(name, 2);
  for (const [index, runner] of busy.entries()) await begin(name, runner, ids[index] ?? 0);
  await until(async () => expect(await world.getStatus(name)).toMatchObject({ busy: 2, ready: 0, waiting: 0 }));
  return { settings, busy, ids };
}

async function isCountedFull(group: string): Promise<void> {
  await until(async () => expect(await world.getStatus(group)).toMatchObject({ busy: 2, ready: 0, waiting: 2 }));
}

describe('a dispatcher that was terminated', () => {
  it('takes over its busy runners and its waiting jobs, and never has more than max', async () => {
    const group = freshName('full');
    const { settings, busy, ids } = await startFull(group);
    const [waiting = 0] = await queue(group, 1);
    const most = watchMost(group);
    await terminateDispatcher(group);
    await world.start(settings);
    await queue(group, 1);
    await isCountedFull(group);
    // A repeated delivery about a job that runs already is no demand.
    await world.signal(group, [{ type: 'job', job: aJob('queued', ids[0] ?? 0) }]);
    await finish(group, busy[0] ?? '', ids[0] ?? 0);
    await until(() => expect(world.edges(group).created).toHaveLength(3));
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ busy: 1, ready: 1, waiting: 2 }));
    const roster = await world.client.workflow.getHandle(dispatcherWorkflowId(group)).query<Roster>(DISPATCHER_ROSTER);
    expect(roster.waiting.map(({ jobId }) => jobId)).toContain(waiting);
    expect(most()).toBe(2);
  });

  it('takes over its busy runners, although the earlier dispatcher does not answer', async () => {
    const group = freshName('forgotten');
    const { settings, busy, ids } = await startFull(group);
    const most = watchMost(group);
    await terminateDispatcher(group);
    world.edges(group).takeOver = (found) => Promise.resolve({ ...found, state: null });
    await world.start(settings);
    await queue(group, 2);
    await isCountedFull(group);
    await world.signal(group, [{ type: 'job', job: aJob('queued', ids[0] ?? 0) }]);
    await finish(group, busy[0] ?? '', ids[0] ?? 0);
    await until(() => expect(world.edges(group).created).toHaveLength(3));
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ busy: 1, ready: 1, waiting: 2 }));
    expect(most()).toBe(2);
  });

  it('starts no runner twice when it was terminated while it started them', async () => {
    const group = freshName('halfway');
    const settings = aGroup(group, { max: 3 });
    const started = Promise.withResolvers<void>();
    const asked: string[][] = [];
    world.edges(group).beforeStart = async (names) => {
      asked.push(names);
      if (asked.length === 1) await started.promise;
    };
    await world.start(settings);
    await queue(group, 3);
    await until(() => expect(asked).toHaveLength(1));
    await terminateDispatcher(group);
    await world.start(settings);
    await runners(group, 3);
    // The activity of the terminated dispatcher goes on.
    started.resolve();
    await queue(group, 2);
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ waiting: 5, ready: 3, busy: 0 }));
    expect(asked.flat().toSorted()).toEqual([...living(group), ...living(group)].toSorted());
  });

  it('stays paused', async () => {
    const group = freshName('halted');
    const settings = aGroup(group);
    await world.start(settings);
    await world.signal(group, [{ type: 'control', mode: 'paused' }]);
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ mode: 'paused' }));
    await terminateDispatcher(group);
    await world.start(settings);
    await queue(group, 1);
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ mode: 'paused', waiting: 1 }));
    expect(world.edges(group).created).toEqual([]);
  });

  it('replaces idle runners of other settings, and keeps those of its own', async () => {
    const group = freshName('mixed');
    const settings = aGroup(group, { min: 1 });
    await world.start(settings);
    const [old = ''] = await runners(group, 1);
    await terminateDispatcher(group);
    await world.start({ ...settings, labels: ['linux', 'arm64'] });
    await until(() => expect(world.edges(group).deleted).toEqual([old]));
    const [fresh = ''] = await runners(group, 1);
    await terminateDispatcher(group);
    await world.start(settings);
    // The newest configuration arrives while the dispatcher takes over.
    await world.signal(group, [{ type: 'configure', settings: { ...settings, labels: ['linux', 'arm64'], max: 1 } }]);
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ ready: 1, settings: { max: 1 } }));
    await queue(group, 2);
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ ready: 1, waiting: 2 }));
    expect(living(group)).toEqual([fresh]);
  });
});

describe('a runner that ends while its dispatcher does not run', () => {
  it('no longer counts, although its workflow still records its use', async () => {
    const group = freshName('ending');
    const { settings, busy, ids } = await startFull(group);
    const recorded = Promise.withResolvers<void>();
    const recording = Promise.withResolvers<void>();
    world.edges(group).beforeRecord = async () => {
      recording.resolve();
      await recorded.promise;
    };
    await terminateDispatcher(group);
    await finish(group, busy[0] ?? '', ids[0] ?? 0);
    await recording.promise;
    await world.start(settings);
    await queue(group, 2);
    await until(() => expect(world.edges(group).created).toHaveLength(3));
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ busy: 1, ready: 1, waiting: 2 }));
    recorded.resolve();
  });

  it('no longer counts when it ends during the takeover', async () => {
    const group = freshName('crossing');
    const { settings, busy, ids } = await startFull(group);
    const found = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    world.edges(group).takeOver = async (takeover) => {
      found.resolve();
      await goOn.promise;
      return takeover;
    };
    await terminateDispatcher(group);
    await world.start(settings);
    await found.promise;
    await finish(group, busy[0] ?? '', ids[0] ?? 0);
    const ended = world.client.workflow.getHandle(runnerWorkflowId(group, busy[0] ?? '')).result();
    await ended;
    await queue(group, 3);
    expect(world.edges(group).created).toHaveLength(2);
    goOn.resolve();
    await until(() => expect(world.edges(group).created).toHaveLength(3));
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ busy: 1, ready: 1, waiting: 3 }));
  });
});

describe('an idle runner that asks to retire during the takeover', () => {
  it('stays where the group needs it', async () => {
    const group = freshName('needed');
    const settings = aGroup(group, { min: 1, timeToStartMs: 5000 });
    await world.start(settings);
    const [idle = ''] = await runners(group, 1);
    const goOn = Promise.withResolvers<void>();
    world.edges(group).takeOver = async (found) => {
      await goOn.promise;
      return found;
    };
    await terminateDispatcher(group);
    await world.start(settings);
    const handle = world.client.workflow.getHandle(runnerWorkflowId(group, idle));
    await handle.executeUpdate(REGISTER_RUNNER);
    const online = {
      version: 1,
      id: idle,
      runner: idle,
      at: '',
      kind: 'online',
      agentVersion: '1',
      host: 'h',
    } as const;
    await world.signalRunner(group, idle, [{ type: 'signal', signal: online }]);
    await until(async () => {
      const { events } = await handle.fetchHistory();
      const asked = events?.filter(
        ({ activityTaskScheduledEventAttributes: attributes }) =>
          attributes?.activityType?.name === 'requestRetirement',
      );
      expect(asked).not.toHaveLength(0);
    });
    goOn.resolve();
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ ready: 1 }));
    expect(world.edges(group)).toMatchObject({ created: [idle], deleted: [] });
  });
});
