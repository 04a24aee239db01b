import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CAPACITY_WORKFLOW,
  CAPACITY_EVENTS,
  CAPACITY_STATUS,
  type CapacityEvent,
  type CapacitySnapshot,
  capacityWorkflowId,
} from '../../../contracts/workflows/capacity.ts';
import { dispatcherWorkflowId } from '../../../contracts/workflows/dispatcher.ts';
import { runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import { TASK_QUEUE } from '../../../contracts/workflows/task-queues.ts';
import { type GroupSettings } from '../../../contracts/workflows/group-settings.ts';
import type { RunnerOutcome } from '../../../contracts/workflows/phase.ts';
import { aGroup, freshName } from '../../support/a-group.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';
import { recordHistories } from '../../support/histories.ts';
import { RunnerSteps } from '../../support/runner-steps.ts';
import { until } from '../../support/until.ts';

/** One history per code path; the others would be the same. */
const RECORDED = new Set([
  'dispatcher-elastic',
  'runner-elastic',
  'runner-surplus',
  'dispatcher-relabel',
  'dispatcher-leaving',
  'dispatcher-draining',
  'dispatcher-first',
  'capacity-test',
]);

let world: WorkflowWorld;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(async () => {
  if (process.env['BATON_RECORD'] !== undefined) await recordHistories(world.client, RECORDED);
  await world.stop();
});

const { createJobId, queue, living, runners, online, begin, finish } = new RunnerSteps(() => world);

const result = (group: string, runner: string): Promise<RunnerOutcome> =>
  world.client.workflow.getHandle(runnerWorkflowId(group, runner)).result();

const configure = (settings: GroupSettings): Promise<void> =>
  world.signal(settings.name, [{ type: 'configure', settings }]);

describe('a group whose configuration changed', () => {
  it('follows a raised and a lowered max without affecting a job', async () => {
    const group = freshName('elastic');
    const settings = aGroup(group, { max: 1 });
    await world.start(settings);
    const ids = await queue(group, 4);
    const [first = ''] = await runners(group, 1);
    await begin(group, first, ids[0] ?? 0);
    await configure({ ...settings, max: 3 });
    const three = await runners(group, 3);
    await begin(group, three[1] ?? '', ids[1] ?? 0);
    await configure({ ...settings, max: 2 });
    // The third has no job yet and retires. The two busy ones stay.
    await until(() => expect(world.edges(group).deleted).toEqual([three[2]]));
    expect(await result(group, three[2] ?? '')).toMatchObject({ reason: 'retired', failed: false });
    await finish(group, first, ids[0] ?? 0);
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ busy: 1, ready: 1, waiting: 2 }));
    await until(() => expect(world.edges(group).created).toHaveLength(4));
  });

  it('retires surplus idle runners after min was lowered, but never one that has just taken a job', async () => {
    const group = freshName('surplus');
    const settings = aGroup(group, { min: 3, timeToStartMs: 8000 });
    await world.start(settings);
    const idle = await runners(group, 3);
    for (const runner of idle) await online(group, runner);
    const [busy = ''] = idle;
    world.edges(group).unregister = (runner) => (runner === busy ? 'busy' : 'removed');
    await configure({ ...settings, min: 0 });
    await until(() => expect(world.edges(group).deleted.toSorted()).toEqual(idle.slice(1).toSorted()));
    expect(living(group)).toEqual([busy]);
    const id = createJobId();
    await begin(group, busy, id);
    world.edges(group).unregister = () => 'absent';
    await finish(group, busy, id);
    expect(await result(group, busy)).toMatchObject({ ranJob: true, failed: false });
  });

  it('replaces its idle runners after its labels changed', async () => {
    const group = freshName('relabel');
    const settings = aGroup(group, { min: 1 });
    await world.start(settings);
    const [old = ''] = await runners(group, 1);
    await configure({ ...settings, labels: ['linux', 'arm64'] });
    await until(() => expect(world.edges(group).deleted).toEqual([old]));
    const [fresh = ''] = await runners(group, 1);
    const { memo } = await world.client.workflow.getHandle(runnerWorkflowId(group, fresh)).describe();
    expect(memo).toMatchObject({ labels: ['linux', 'arm64'] });
  });

  it('finishes its running job, moves its waiting jobs and ends after it was removed', async () => {
    const group = freshName('leaving');
    await world.start(aGroup(group, { max: 1 }));
    const [running = 0, ...waiting] = await queue(group, 3);
    const [runner = ''] = await runners(group, 1);
    await begin(group, runner, running);
    await world.signal(group, [{ type: 'removed' }]);
    await until(() => expect(world.moved.map(({ jobId }) => jobId)).toEqual(waiting));
    expect(world.moved[0]).toMatchObject({ repository: 'acme/hello', labels: ['linux'], runId: waiting[0] });
    expect(await world.getStatus(group)).toMatchObject({ removed: true, busy: 1, waiting: 0 });
    expect(living(group)).toEqual([runner]);
    await finish(group, runner, running);
    await world.client.workflow.getHandle(dispatcherWorkflowId(group)).result();
    expect(world.edges(group).created).toEqual([runner]);
  });
});

describe('an operator', () => {
  it('pauses and resumes a group: while it is paused, jobs wait and no runner starts', async () => {
    const group = freshName('paused');
    await world.start(aGroup(group, {}));
    await world.signal(group, [{ type: 'control', mode: 'paused' }]);
    await queue(group, 2);
    await until(async () =>
      expect(await world.getStatus(group)).toMatchObject({ mode: 'paused', waiting: 2, ready: 0 }),
    );
    expect(world.edges(group).created).toEqual([]);
    await world.signal(group, [{ type: 'control', mode: 'active' }]);
    await runners(group, 2);
  });

  it('drains a group: idle runners retire, the busy one finishes, and a new configuration does not undo that', async () => {
    const group = freshName('draining');
    const settings = aGroup(group, { min: 2, timeToStartMs: 8000 });
    await world.start(settings);
    const [busy = '', idle = ''] = await runners(group, 2);
    await online(group, idle);
    const id = createJobId();
    await begin(group, busy, id);
    await world.signal(group, [{ type: 'control', mode: 'draining' }]);
    await until(() => expect(world.edges(group).deleted).toContain(idle));
    await configure({ ...settings, max: 5 });
    await finish(group, busy, id);
    await until(async () =>
      expect(await world.getStatus(group)).toMatchObject({ mode: 'draining', busy: 0, ready: 0 }),
    );
    expect(living(group)).toEqual([]);
    await world.signal(group, [{ type: 'control', mode: 'active' }]);
    await runners(group, 2);
  });
});

describe('a capped backend', () => {
  const signalCapacity = async (backend: string, event: CapacityEvent): Promise<void> => {
    await world.client.workflow.signalWithStart(CAPACITY_WORKFLOW, {
      workflowId: capacityWorkflowId(backend),
      taskQueue: TASK_QUEUE.orchestrator,
      args: [{ backend }],
      signal: CAPACITY_EVENTS,
      signalArgs: [[event]],
    });
  };

  it('never has more instances than its cap, and gives free slots by priority, then to the longest wait', async () => {
    const [first, second, urgent] = [freshName('first'), freshName('second'), freshName('urgent')] as const;
    await signalCapacity('test', { type: 'configure', max: 2, groups: [first, second, urgent] });
    for (const [name, priority] of [
      [first, 3],
      [second, 3],
      [urgent, 1],
    ] as const) {
      await world.start(aGroup(name, { backendMax: 2, priority }));
    }
    let most = 0;
    const count = (): number => [first, second, urgent].flatMap(living).length;
    for (const name of [first, second, urgent]) {
      world.edges(name).create = () => {
        most = Math.max(most, count() + 1);
        return Promise.resolve();
      };
    }
    const mine: Record<string, number[]> = { [first]: [], [second]: [], [urgent]: [] };
    const take = async (group: string): Promise<void> => {
      mine[group]?.push(...(await queue(group, 1)));
      await until(async () => expect((await world.getStatus(group)).waiting).toBeGreaterThan(0));
    };
    await take(first);
    await take(first);
    await runners(first, 2);
    // They begin to wait in this order: the urgent one comes last.
    await take(second);
    await take(first);
    await take(urgent);
    await until(async () => {
      const capacity = await world.client.workflow
        .getHandle(capacityWorkflowId('test'))
        .query<CapacitySnapshot>(CAPACITY_STATUS);
      expect(Object.fromEntries(capacity.groups.map(({ group, wanted }) => [group, wanted]))).toEqual({
        [first]: 1,
        [second]: 1,
        [urgent]: 1,
      });
    });
    const end = async (group: string): Promise<void> => {
      const [runner = ''] = living(group);
      const [id = 0] = mine[group]?.splice(0, 1) ?? [];
      await begin(group, runner, id);
      await finish(group, runner, id);
    };
    await end(first);
    await runners(urgent, 1);
    await end(first);
    await runners(second, 1);
    await end(urgent);
    await runners(first, 1);
    expect(most).toBe(2);
    await signalCapacity('test', { type: 'configure', max: null, groups: [] });
    await world.client.workflow.getHandle(capacityWorkflowId('test')).result();
  });
});
