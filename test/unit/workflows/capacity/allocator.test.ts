import { describe, expect, test } from 'vitest';
import type { PlacesAnswer, PlacesStatement } from '../../../../contracts/workflows/actors.ts';
import { Places } from '../../../../workflows/dispatcher/slots.ts';
import { Keeper } from '../../../../workflows/capacity/allocator.ts';

const statement = (group: string, number: number, more: Partial<PlacesStatement> = {}): PlacesStatement => ({
  backend: 'b',
  group,
  number,
  priority: 3,
  have: 0,
  wants: [],
  ...more,
});

function keeper(max: number, ...groups: string[]): Keeper {
  const made = new Keeper();
  made.hear({ type: 'configure', max, groups });
  return made;
}

function tell(to: Keeper, ...statements: PlacesStatement[]): Record<string, number> {
  for (const each of statements) to.hear({ type: 'statement', statement: each });
  return Object.fromEntries(to.give('b').map(({ group, places }) => [group, places.allowed]));
}

describe('the keeper of a backend’s places', () => {
  test('gives to whoever waits longest, across groups', () => {
    const three = keeper(3, 'x', 'y');
    expect(tell(three, statement('x', 1, { wants: [10, 40, 50] }), statement('y', 1, { wants: [20, 30] }))).toEqual({
      x: 1,
      y: 2,
    });
  });

  test('a higher priority comes before a longer wait', () => {
    const two = keeper(2, 'x', 'y');
    const first = statement('y', 1, { priority: 1, wants: [90, 91] });
    expect(tell(two, statement('x', 1, { wants: [10] }), first)).toEqual({ x: 0, y: 2 });
  });

  test('a runner kept warm comes after every job, whoever’s', () => {
    const one = keeper(1, 'x', 'y');
    const warm = statement('x', 1, { priority: 1, wants: [null] });
    expect(tell(one, warm, statement('y', 1, { priority: 5, wants: [10] }))).toEqual({ x: 0, y: 1 });
  });

  test('gives nothing away before every group has said what it has', () => {
    const five = keeper(5, 'x', 'y');
    expect(tell(five, statement('x', 1, { wants: [1] }))).toEqual({ x: 0 });
    expect(five.snapshot('b').silent).toEqual(['y']);
    expect(tell(five, statement('y', 1, { have: 5 }))).toEqual({ y: 5 });
    expect(tell(five, statement('y', 2, { have: 4 }))).toEqual({ x: 1, y: 4 });
  });

  test('what comes twice or late changes nothing', () => {
    const one = keeper(1, 'x', 'y');
    const first = statement('x', 1, { wants: [1] });
    tell(one, first, statement('y', 1, { wants: [2] }));
    expect(tell(one, first, first)).toEqual({});
    tell(one, statement('x', 3, { have: 1 }));
    expect(tell(one, statement('x', 2, { have: 0 }))).toEqual({});
    expect(tell(one, statement('x', 4, { have: 0 }))).toEqual({ x: 0, y: 1 });
  });

  test('a lowered cap takes nothing away and gives nothing until there is room', () => {
    const four = keeper(4, 'x');
    tell(four, statement('x', 1, { wants: [1, 2, 3, 4] }));
    four.hear({ type: 'configure', max: 2, groups: ['x'] });
    expect(tell(four, statement('x', 2, { have: 3, wants: [5] }))).toEqual({ x: 3 });
    expect(tell(four, statement('x', 3, { have: 1, wants: [5] }))).toEqual({ x: 2 });
  });

  test('all of it survives continue-as-new', () => {
    const one = keeper(1, 'x', 'y');
    tell(one, statement('x', 1, { wants: [1] }), statement('y', 1, { wants: [2] }));
    const again = new Keeper(structuredClone(one.toState()));
    expect(tell(again, statement('x', 2))).toEqual({ x: 0, y: 1 });
  });
});

describe('a dispatcher’s places', () => {
  const situation = { backend: 'b', group: 'x', priority: 3, have: 0, wants: [1, 2, null] };
  const answer = (number: number, allowed: number): PlacesAnswer => ({ backend: 'b', number, allowed });

  test('nothing starts without an answer, and an old answer counts for nothing', () => {
    const places = new Places();
    const first = places.due(situation, 1000);
    expect(first).toMatchObject({ number: 1000, wants: [1, 2, null] });
    expect(places.startable('b', 3)).toBe(0);
    // One statement at a time: what changes meanwhile is told after the answer.
    expect(places.due({ ...situation, wants: [1, 2, 3] }, 1001)).toBeUndefined();
    places.answer(answer(999, 3));
    expect(places.startable('b', 3)).toBe(0);
    places.answer(answer(1000, 2));
    expect(places.startable('b', 3)).toBe(2);
    places.use('b', 2);
    expect(places.startable('b', 3)).toBe(0);
    expect(places.due({ ...situation, have: 2, wants: [null] }, 1002)).toBeUndefined();
    places.answer(answer(1000, 3));
    expect(places.startable('b', 3)).toBe(1);
  });

  test('a runner that is gone gives its place back, and so does a grant that is needed no more', () => {
    const places = new Places();
    const first = places.due(situation, 1000)?.number ?? 0;
    places.answer(answer(first, 3));
    places.use('b', 3);
    expect(places.due({ ...situation, have: 3, wants: [] }, 1001)).toBeUndefined();
    const second = places.due({ ...situation, have: 2, wants: [] }, 1002);
    expect(second).toMatchObject({ have: 2, wants: [] });
    places.answer(answer(second?.number ?? 0, 3));
    expect(places.due({ ...situation, have: 2, wants: [] }, 1003)).toMatchObject({ have: 2 });
  });

  test('an answer that never comes is asked for again', () => {
    const places = new Places();
    places.due(situation, 1000);
    expect(places.overdueAt()).toBe(61_000);
    expect(places.due(situation, 60_999)).toBeUndefined();
    expect(places.due(situation, 61_000)).toMatchObject({ number: 61_000 });
  });

  test('everything is said again when it was forgotten, with a higher number', () => {
    const places = new Places();
    places.due(situation, 1000);
    places.restate();
    expect(places.due(situation, 1000)).toMatchObject({ number: 1001 });
  });
});

/** Any order of events: the cap holds, and in the end everybody was served. */
test('the cap holds whatever comes in between', () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor(seed / 65_536) % below;
  };
  const cap = 5;
  const names = ['x', 'y', 'z'];
  const one = keeper(cap, ...names);
  const groups = names.map((group) => ({ group, places: new Places(), runners: 0, waiting: [] as number[], made: 0 }));
  const toKeeper: PlacesStatement[] = [];
  const toGroups: { group: string; places: PlacesAnswer }[] = [];
  let now = 1;
  let jobs = 0;
  for (let round = 0; round < 20_000; round++) {
    now += 1;
    const state = groups[random(3)];
    if (state === undefined) continue;
    const { group, places } = state;
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
        if (next) one.hear({ type: 'statement', statement: next });
        toGroups.push(...one.give('b'));
        break;
      }
      case 3: {
        const at = random(Math.max(1, toGroups.length));
        const [next] = random(6) === 0 ? toGroups.slice(at, at + 1) : toGroups.splice(at, 1);
        if (next) groups.find((to) => to.group === next.group)?.places.answer(next.places);
        break;
      }
      default: {
        const count = places.startable('b', state.waiting.length);
        state.waiting.splice(0, count);
        state.runners += count;
        state.made += count;
        places.use('b', count);
        const due = places.due({ backend: 'b', group, priority: 3, have: state.runners, wants: state.waiting }, now);
        if (due) toKeeper.push(structuredClone(due));
      }
    }
    expect(groups.reduce((sum, { runners }) => sum + runners, 0)).toBeLessThanOrEqual(cap);
  }
  expect(groups.reduce((sum, { made }) => sum + made, 0)).toBe(jobs);
});
