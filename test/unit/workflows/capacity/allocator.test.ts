import { describe, expect, it } from 'vitest';
import type { SlotGrant, SlotRequest } from '../../../../contracts/workflows/capacity.ts';
import { SlotTracker } from '../../../../workflows/dispatcher/slots.ts';
import { CapacityAllocator } from '../../../../workflows/capacity/allocator.ts';

const request = (group: string, number: number, more: Partial<SlotRequest> = {}): SlotRequest => ({
  backend: 'b',
  group,
  number,
  priority: 3,
  held: 0,
  wanted: [],
  ...more,
});

function allocator(max: number, ...groups: string[]): CapacityAllocator {
  const created = new CapacityAllocator();
  created.apply({ type: 'configure', max, groups });
  return created;
}

function allocate(to: CapacityAllocator, ...requests: SlotRequest[]): Record<string, number> {
  for (const each of requests) to.apply({ type: 'request', request: each });
  return Object.fromEntries(to.allocate('b').map(({ group, grant }) => [group, grant.allowed]));
}

describe('CapacityAllocator', () => {
  it('grants slots to the jobs that wait longest, across groups', () => {
    const three = allocator(3, 'x', 'y');
    expect(allocate(three, request('x', 1, { wanted: [10, 40, 50] }), request('y', 1, { wanted: [20, 30] }))).toEqual({
      x: 1,
      y: 2,
    });
  });

  it('serves a higher priority before a longer wait', () => {
    const two = allocator(2, 'x', 'y');
    const first = request('y', 1, { priority: 1, wanted: [90, 91] });
    expect(allocate(two, request('x', 1, { wanted: [10] }), first)).toEqual({ x: 0, y: 2 });
  });

  it('serves jobs of all groups before idle runners', () => {
    const one = allocator(1, 'x', 'y');
    const idle = request('x', 1, { priority: 1, wanted: [null] });
    expect(allocate(one, idle, request('y', 1, { priority: 5, wanted: [10] }))).toEqual({ x: 0, y: 1 });
  });

  it('grants nothing before every group has reported its runners', () => {
    const five = allocator(5, 'x', 'y');
    expect(allocate(five, request('x', 1, { wanted: [1] }))).toEqual({ x: 0 });
    expect(five.toSnapshot('b').silent).toEqual(['y']);
    expect(allocate(five, request('y', 1, { held: 5 }))).toEqual({ y: 5 });
    expect(allocate(five, request('y', 2, { held: 4 }))).toEqual({ x: 1, y: 4 });
  });

  it('ignores repeated and late requests', () => {
    const one = allocator(1, 'x', 'y');
    const first = request('x', 1, { wanted: [1] });
    allocate(one, first, request('y', 1, { wanted: [2] }));
    expect(allocate(one, first, first)).toEqual({});
    allocate(one, request('x', 3, { held: 1 }));
    expect(allocate(one, request('x', 2, { held: 0 }))).toEqual({});
    expect(allocate(one, request('x', 4, { held: 0 }))).toEqual({ x: 0, y: 1 });
  });

  it('grants nothing after the cap was lowered, until enough runners have ended', () => {
    const four = allocator(4, 'x');
    allocate(four, request('x', 1, { wanted: [1, 2, 3, 4] }));
    four.apply({ type: 'configure', max: 2, groups: ['x'] });
    expect(allocate(four, request('x', 2, { held: 3, wanted: [5] }))).toEqual({ x: 3 });
    expect(allocate(four, request('x', 3, { held: 1, wanted: [5] }))).toEqual({ x: 2 });
  });

  it('carries all of its state over continue-as-new', () => {
    const one = allocator(1, 'x', 'y');
    allocate(one, request('x', 1, { wanted: [1] }), request('y', 1, { wanted: [2] }));
    const again = new CapacityAllocator(structuredClone(one.toState()));
    expect(allocate(again, request('x', 2))).toEqual({ x: 0, y: 1 });
  });
});

describe('SlotTracker', () => {
  const situation = { backend: 'b', group: 'x', priority: 3, held: 0, wanted: [1, 2, null] };
  const grant = (number: number, allowed: number): SlotGrant => ({ backend: 'b', number, allowed });

  it('starts nothing without a grant, and ignores a grant for an older request', () => {
    const slots = new SlotTracker();
    const first = slots.takeDueRequest(situation, 1000);
    expect(first).toMatchObject({ number: 1000, wanted: [1, 2, null] });
    expect(slots.countStartable('b', 3)).toBe(0);
    // One request at a time: changes are sent after the grant.
    expect(slots.takeDueRequest({ ...situation, wanted: [1, 2, 3] }, 1001)).toBeUndefined();
    slots.applyGrant(grant(999, 3));
    expect(slots.countStartable('b', 3)).toBe(0);
    slots.applyGrant(grant(1000, 2));
    expect(slots.countStartable('b', 3)).toBe(2);
    slots.use('b', 2);
    expect(slots.countStartable('b', 3)).toBe(0);
    expect(slots.takeDueRequest({ ...situation, held: 2, wanted: [null] }, 1002)).toBeUndefined();
    slots.applyGrant(grant(1000, 3));
    expect(slots.countStartable('b', 3)).toBe(1);
  });

  it('releases the slot of a runner that is gone, and a grant that is no longer needed', () => {
    const slots = new SlotTracker();
    const first = slots.takeDueRequest(situation, 1000)?.number ?? 0;
    slots.applyGrant(grant(first, 3));
    slots.use('b', 3);
    expect(slots.takeDueRequest({ ...situation, held: 3, wanted: [] }, 1001)).toBeUndefined();
    const second = slots.takeDueRequest({ ...situation, held: 2, wanted: [] }, 1002);
    expect(second).toMatchObject({ held: 2, wanted: [] });
    slots.applyGrant(grant(second?.number ?? 0, 3));
    expect(slots.takeDueRequest({ ...situation, held: 2, wanted: [] }, 1003)).toMatchObject({ held: 2 });
  });

  it('sends a request again that was not answered', () => {
    const slots = new SlotTracker();
    slots.takeDueRequest(situation, 1000);
    expect(slots.findOverdueAt()).toBe(61_000);
    expect(slots.takeDueRequest(situation, 60_999)).toBeUndefined();
    expect(slots.takeDueRequest(situation, 61_000)).toMatchObject({ number: 61_000 });
  });

  it('sends its request again with a higher number when asked to', () => {
    const slots = new SlotTracker();
    slots.takeDueRequest(situation, 1000);
    slots.requestAgain();
    expect(slots.takeDueRequest(situation, 1000)).toMatchObject({ number: 1001 });
  });
});

describe('the allocator and its dispatchers', () => {
  /** In any order of events, the cap is never exceeded, and in the end all jobs were served. */
  it('never exceed the cap, in any order of events', () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor(seed / 65_536) % below;
    };
    const cap = 5;
    const names = ['x', 'y', 'z'];
    const one = allocator(cap, ...names);
    const groups = names.map((group) => ({
      group,
      slots: new SlotTracker(),
      runners: 0,
      waiting: [] as number[],
      started: 0,
    }));
    const toAllocator: SlotRequest[] = [];
    const toGroups: { group: string; grant: SlotGrant }[] = [];
    let now = 1;
    let jobs = 0;
    for (let round = 0; round < 20_000; round++) {
      now += 1;
      const state = groups[random(3)];
      if (state === undefined) continue;
      const { group, slots } = state;
      switch (random(5)) {
        case 0:
          if (round < 15_000 && random(12) === 0) {
            state.waiting.push(now);
            jobs += 1;
          }
          break;
        case 1:
          if (state.runners > 0 && random(2) === 0) state.runners -= 1;
          break;
        case 2: {
          // Late, and sometimes twice.
          const next = random(4) === 0 ? toAllocator[0] : toAllocator.shift();
          if (next) one.apply({ type: 'request', request: next });
          toGroups.push(...one.allocate('b'));
          break;
        }
        case 3: {
          const at = random(Math.max(1, toGroups.length));
          const [next] = random(6) === 0 ? toGroups.slice(at, at + 1) : toGroups.splice(at, 1);
          if (next) groups.find((to) => to.group === next.group)?.slots.applyGrant(next.grant);
          break;
        }
        default: {
          const count = slots.countStartable('b', state.waiting.length);
          state.waiting.splice(0, count);
          state.runners += count;
          state.started += count;
          slots.use('b', count);
          const due = slots.takeDueRequest(
            { backend: 'b', group, priority: 3, held: state.runners, wanted: state.waiting },
            now,
          );
          if (due) toAllocator.push(structuredClone(due));
        }
      }
      expect(groups.reduce((sum, { runners }) => sum + runners, 0)).toBeLessThanOrEqual(cap);
    }
    expect(groups.reduce((sum, { started }) => sum + started, 0)).toBe(jobs);
  });
});
