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
  const made = new CapacityAllocator();
  made.apply({ type: 'configure', max, groups });
  return made;
}

function tell(to: CapacityAllocator, ...requests: SlotRequest[]): Record<string, number> {
  for (const each of requests) to.apply({ type: 'request', request: each });
  return Object.fromEntries(to.allocate('b').map(({ group, grant }) => [group, grant.allowed]));
}

describe('CapacityAllocator', () => {
  it('gives to whoever waits longest, across groups', () => {
    const three = allocator(3, 'x', 'y');
    expect(tell(three, request('x', 1, { wanted: [10, 40, 50] }), request('y', 1, { wanted: [20, 30] }))).toEqual({
      x: 1,
      y: 2,
    });
  });

  it('a higher priority comes before a longer wait', () => {
    const two = allocator(2, 'x', 'y');
    const first = request('y', 1, { priority: 1, wanted: [90, 91] });
    expect(tell(two, request('x', 1, { wanted: [10] }), first)).toEqual({ x: 0, y: 2 });
  });

  it('a runner kept warm comes after every job, whoever’s', () => {
    const one = allocator(1, 'x', 'y');
    const warm = request('x', 1, { priority: 1, wanted: [null] });
    expect(tell(one, warm, request('y', 1, { priority: 5, wanted: [10] }))).toEqual({ x: 0, y: 1 });
  });

  it('gives nothing away before every group has said what it has', () => {
    const five = allocator(5, 'x', 'y');
    expect(tell(five, request('x', 1, { wanted: [1] }))).toEqual({ x: 0 });
    expect(five.snapshot('b').silent).toEqual(['y']);
    expect(tell(five, request('y', 1, { held: 5 }))).toEqual({ y: 5 });
    expect(tell(five, request('y', 2, { held: 4 }))).toEqual({ x: 1, y: 4 });
  });

  it('what comes twice or late changes nothing', () => {
    const one = allocator(1, 'x', 'y');
    const first = request('x', 1, { wanted: [1] });
    tell(one, first, request('y', 1, { wanted: [2] }));
    expect(tell(one, first, first)).toEqual({});
    tell(one, request('x', 3, { held: 1 }));
    expect(tell(one, request('x', 2, { held: 0 }))).toEqual({});
    expect(tell(one, request('x', 4, { held: 0 }))).toEqual({ x: 0, y: 1 });
  });

  it('a lowered cap takes nothing away and gives nothing until there is room', () => {
    const four = allocator(4, 'x');
    tell(four, request('x', 1, { wanted: [1, 2, 3, 4] }));
    four.apply({ type: 'configure', max: 2, groups: ['x'] });
    expect(tell(four, request('x', 2, { held: 3, wanted: [5] }))).toEqual({ x: 3 });
    expect(tell(four, request('x', 3, { held: 1, wanted: [5] }))).toEqual({ x: 2 });
  });

  it('all of it survives continue-as-new', () => {
    const one = allocator(1, 'x', 'y');
    tell(one, request('x', 1, { wanted: [1] }), request('y', 1, { wanted: [2] }));
    const again = new CapacityAllocator(structuredClone(one.toState()));
    expect(tell(again, request('x', 2))).toEqual({ x: 0, y: 1 });
  });
});

describe('SlotTracker', () => {
  const situation = { backend: 'b', group: 'x', priority: 3, held: 0, wanted: [1, 2, null] };
  const grant = (number: number, allowed: number): SlotGrant => ({ backend: 'b', number, allowed });

  it('nothing starts without an answer, and an old answer counts for nothing', () => {
    const slots = new SlotTracker();
    const first = slots.dueRequest(situation, 1000);
    expect(first).toMatchObject({ number: 1000, wanted: [1, 2, null] });
    expect(slots.startable('b', 3)).toBe(0);
    // One statement at a time: what changes meanwhile is told after the answer.
    expect(slots.dueRequest({ ...situation, wanted: [1, 2, 3] }, 1001)).toBeUndefined();
    slots.applyGrant(grant(999, 3));
    expect(slots.startable('b', 3)).toBe(0);
    slots.applyGrant(grant(1000, 2));
    expect(slots.startable('b', 3)).toBe(2);
    slots.use('b', 2);
    expect(slots.startable('b', 3)).toBe(0);
    expect(slots.dueRequest({ ...situation, held: 2, wanted: [null] }, 1002)).toBeUndefined();
    slots.applyGrant(grant(1000, 3));
    expect(slots.startable('b', 3)).toBe(1);
  });

  it('a runner that is gone gives its place back, and so does a grant that is needed no more', () => {
    const slots = new SlotTracker();
    const first = slots.dueRequest(situation, 1000)?.number ?? 0;
    slots.applyGrant(grant(first, 3));
    slots.use('b', 3);
    expect(slots.dueRequest({ ...situation, held: 3, wanted: [] }, 1001)).toBeUndefined();
    const second = slots.dueRequest({ ...situation, held: 2, wanted: [] }, 1002);
    expect(second).toMatchObject({ held: 2, wanted: [] });
    slots.applyGrant(grant(second?.number ?? 0, 3));
    expect(slots.dueRequest({ ...situation, held: 2, wanted: [] }, 1003)).toMatchObject({ held: 2 });
  });

  it('an answer that never comes is asked for again', () => {
    const slots = new SlotTracker();
    slots.dueRequest(situation, 1000);
    expect(slots.overdueAt()).toBe(61_000);
    expect(slots.dueRequest(situation, 60_999)).toBeUndefined();
    expect(slots.dueRequest(situation, 61_000)).toMatchObject({ number: 61_000 });
  });

  it('everything is said again when it was forgotten, with a higher number', () => {
    const slots = new SlotTracker();
    slots.dueRequest(situation, 1000);
    slots.requestAgain();
    expect(slots.dueRequest(situation, 1000)).toMatchObject({ number: 1001 });
  });
});

describe('the allocator and its dispatchers', () => {
  /** Any order of events: the cap holds, and in the end everybody was served. */
  it('the cap holds whatever comes in between', () => {
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
      made: 0,
    }));
    const toKeeper: SlotRequest[] = [];
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
          // Late, and now and then twice.
          const next = random(4) === 0 ? toKeeper[0] : toKeeper.shift();
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
          const count = slots.startable('b', state.waiting.length);
          state.waiting.splice(0, count);
          state.runners += count;
          state.made += count;
          slots.use('b', count);
          const due = slots.dueRequest(
            { backend: 'b', group, priority: 3, held: state.runners, wanted: state.waiting },
            now,
          );
          if (due) toKeeper.push(structuredClone(due));
        }
      }
      expect(groups.reduce((sum, { runners }) => sum + runners, 0)).toBeLessThanOrEqual(cap);
    }
    expect(groups.reduce((sum, { made }) => sum + made, 0)).toBe(jobs);
  });
});
