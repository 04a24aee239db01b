import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StartAllowance, WantedStarts } from '../../../contracts/ports/start-pacer.ts';
import {
  CAPACITY_EVENTS,
  CAPACITY_STATUS,
  CAPACITY_WORKFLOW,
  type CapacityEvent,
  type CapacitySnapshot,
  capacityWorkflowId,
} from '../../../contracts/workflows/capacity.ts';
import { dispatcherWorkflowId } from '../../../contracts/workflows/dispatcher.ts';
import { TASK_QUEUE } from '../../../contracts/workflows/task-queues.ts';
import { aGroup, freshName } from '../../support/a-group.ts';
import { aJob } from '../../support/a-job.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';
import { until } from '../../support/until.ts';

let world: WorkflowWorld;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(async () => {
  await world.stop();
});

const REASON = 'GitHub lets 180 a minute register';
/** Longer than any test takes. */
const NEVER_MS = 600_000;

/** A pacer that the test opens by hand. */
class Gate {
  /** How many more runners may start; the others are told to ask again after `holdMs`. */
  room: number;
  holdMs = NEVER_MS;
  readonly asked: WantedStarts[] = [];

  constructor(room: number) {
    this.room = room;
  }

  readonly take = (wanted: WantedStarts): Promise<StartAllowance> => {
    this.asked.push(wanted);
    const all = wanted.jobs + wanted.idle;
    const allowed = Math.min(this.room, all);
    this.room -= allowed;
    const held = { nextAt: Date.now() + this.holdMs, reason: REASON };
    return Promise.resolve({ allowed, perMinute: 180, ...(allowed < all ? held : { nextAt: null, reason: null }) });
  };
}

/** Starts a group whose starts the gate paces; its name is its organisation's too. */
async function startGroup(gate: Gate, more: Parameters<typeof aGroup>[1] = {}): Promise<string> {
  const group = freshName('paced');
  world.edges(group).pace = gate.take;
  await world.start(aGroup(group, { scope: { organization: group }, ...more }));
  return group;
}

async function send(group: string, action: 'queued' | 'completed', ids: readonly number[]): Promise<void> {
  await world.signal(
    group,
    ids.map((id) => ({ type: 'job', job: aJob(action, id, {}) })),
  );
}

async function expectInstances(group: string, count: number): Promise<void> {
  await until(() => expect(world.edges(group).created).toHaveLength(count));
}

describe('a paced group', () => {
  it('starts as many runners as may be registered, shows how many it holds back, and starts them later', async () => {
    const gate = new Gate(3);
    gate.holdMs = 1500;
    const group = await startGroup(gate);
    await send(group, 'queued', [1, 2, 3, 4, 5]);
    await until(async () =>
      expect((await world.getStatus(group)).pace).toMatchObject({ heldBack: 2, perMinute: 180, reason: REASON }),
    );
    await expectInstances(group, 3);
    gate.room = 10;
    // Without any signal: by the group's timer.
    await expectInstances(group, 5);
    expect((await world.getStatus(group)).pace).toBeNull();
    expect(gate.asked[0]).toEqual({ jobs: 5, idle: 0 });
    expect(gate.asked.at(-1)).toEqual({ jobs: 2, idle: 0 });
  });

  it('does not ask again before the time that it was told, whatever happens meanwhile', async () => {
    const gate = new Gate(1);
    const group = await startGroup(gate);
    await send(group, 'queued', [1, 2, 3]);
    await expectInstances(group, 1);
    await send(group, 'queued', [4, 5]);
    await until(async () => expect((await world.getStatus(group)).pace).toMatchObject({ heldBack: 4 }));
    await send(group, 'completed', [2, 3, 4, 5]);
    await until(async () => expect((await world.getStatus(group)).pace).toBeNull());
    expect(gate.asked).toEqual([{ jobs: 3, idle: 0 }]);
  });

  it('asks again at once when its scope has changed', async () => {
    const gate = new Gate(0);
    const group = await startGroup(gate);
    await send(group, 'queued', [1]);
    await until(async () => expect((await world.getStatus(group)).pace).not.toBeNull());
    const settings = aGroup(group, { scope: { organization: 'another' } });
    await world.signal(group, [{ type: 'configure', settings }]);
    await expectInstances(group, 1);
  });

  it('says which runners are to be kept idle', async () => {
    const gate = new Gate(9);
    const group = await startGroup(gate, { min: 2 });
    await expectInstances(group, 2);
    await send(group, 'queued', [1, 2, 3]);
    await expectInstances(group, 5);
    expect(gate.asked[0]).toEqual({ jobs: 0, idle: 2 });
    expect(gate.asked.reduce((sum, { jobs }) => sum + jobs, 0)).toBeGreaterThanOrEqual(1);
  });

  it('starts all runners of a chunk whose first attempt failed, so that it counts each that exists', async () => {
    let calls = 0;
    const gate = new Gate(0);
    const group = await startGroup(gate);
    world.edges(group).pace = () => Promise.reject(new Error(`no answer ${(calls += 1)}`));
    await send(group, 'queued', [1, 2]);
    await expectInstances(group, 2);
    expect(calls).toBe(1);
    expect(await world.getStatus(group)).toMatchObject({ ready: 2, pace: null });
  });

  it('gives slots of a capped backend that it cannot use yet to others, and does not ask for them in a loop', async () => {
    const configure: CapacityEvent = { type: 'configure', max: 5, groups: [] };
    const capacity = await world.client.workflow.signalWithStart(CAPACITY_WORKFLOW, {
      workflowId: capacityWorkflowId('test'),
      taskQueue: TASK_QUEUE.orchestrator,
      args: [{ backend: 'test' }],
      signal: CAPACITY_EVENTS,
      signalArgs: [[configure]],
    });
    const query = (): Promise<CapacitySnapshot> => capacity.query<CapacitySnapshot>(CAPACITY_STATUS);
    const gate = new Gate(1);
    gate.holdMs = 2000;
    const group = await startGroup(gate, { backendMax: 5 });
    await send(group, 'queued', [1, 2, 3, 4, 5]);
    await expectInstances(group, 1);
    const other = await startGroup(new Gate(9), { backendMax: 5 });
    await send(other, 'queued', [11, 12]);
    await expectInstances(other, 2);
    gate.room = 9;
    await expectInstances(group, 3);
    expect(gate.asked[0]).toEqual({ jobs: 5, idle: 0 });
    expect(gate.asked.at(-1)).toEqual({ jobs: 2, idle: 0 });
    const { historyLength } = await world.client.workflow.getHandle(dispatcherWorkflowId(group)).describe();
    expect(historyLength).toBeLessThan(200);
    const { groups } = await query();
    expect(groups.map(({ allowed }) => allowed).toSorted((a, b) => a - b)).toEqual([2, 3]);
    await capacity.terminate();
  });
});
