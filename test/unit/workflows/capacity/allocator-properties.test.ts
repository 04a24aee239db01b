import {
  type Arbitrary,
  array,
  constant,
  constantFrom,
  integer,
  nat,
  oneof,
  property,
  record,
  subarray,
  tuple,
} from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CapacityEvent, SlotGrant, SlotRequest } from '../../../../contracts/workflows/capacity.ts';
import { CapacityAllocator } from '../../../../workflows/capacity/allocator.ts';
import { checkProperty } from '../../../support/properties.ts';

const GROUPS = ['x', 'y', 'z'];

type Step =
  | { do: 'configure'; max: number; groups: string[] }
  | { do: 'request'; group: string; priority: number; held: number; wanted: (number | null)[] }
  /** A request that was sent before arrives once more: the newest for 0, older ones for higher numbers. */
  | { do: 'repeat'; back: number };

/** What a dispatcher wants: jobs by the time they have waited, oldest first, then idle runners. */
const wishes = tuple(array(integer({ min: 1, max: 99 }), { maxLength: 4 }), nat(2)).map(([jobs, idle]) => [
  ...jobs.sort((a, b) => a - b),
  ...Array.from({ length: idle }, () => null),
]);

const step: Arbitrary<Step> = oneof(
  {
    weight: 1,
    arbitrary: record({ do: constant('configure' as const), max: nat(8), groups: subarray(GROUPS) }),
  },
  {
    weight: 6,
    arbitrary: record({
      do: constant('request' as const),
      group: constantFrom(...GROUPS),
      priority: integer({ min: 1, max: 3 }),
      held: nat(4),
      wanted: wishes,
    }),
  },
  { weight: 2, arbitrary: record({ do: constant('repeat' as const), back: nat(6) }) },
);
const steps = array(step, { maxLength: 30 });

/** An allocator and, beside it, what it was told. */
class Run {
  allocator = new CapacityAllocator();
  max = 0;
  groups: string[] = [];
  readonly sent: SlotRequest[] = [];
  readonly newest = new Map<string, SlotRequest>();
  /** How many runners each group may have, by the newest grant for its newest request; before it, those it reported. */
  readonly allowed = new Map<string, number>();

  apply(next: Step): void {
    const event = this.#toEvent(next);
    if (event !== undefined) this.allocator.apply(event);
  }

  /** Grants that answer an old request, or take away what was allowed. */
  readonly wrong: SlotGrant[] = [];

  /** Groups with a grant, and among them those that may have more runners than before. */
  allocate(): { answered: string[]; raised: string[] } {
    const answered: string[] = [];
    const raised: string[] = [];
    for (const { group, grant } of this.allocator.allocate('b')) {
      const before = this.allowed.get(group) ?? 0;
      answered.push(group);
      if (grant.number !== this.newest.get(group)?.number || grant.allowed < before) this.wrong.push(grant);
      if (grant.allowed > before) raised.push(group);
      this.allowed.set(group, grant.allowed);
    }
    return { answered, raised };
  }

  get total(): number {
    return [...this.allowed.values()].reduce((sum, count) => sum + count, 0);
  }

  get silent(): string[] {
    return this.groups.filter((group) => !this.newest.has(group));
  }

  /** What that group asked for and was not granted. */
  listUnmet(group: string): (number | null)[] {
    const { held, wanted } = this.newest.get(group) ?? { held: 0, wanted: [] };
    return wanted.slice((this.allowed.get(group) ?? 0) - held);
  }

  /** The last of its wishes that was granted. */
  findLastServed(group: string): number | null {
    const { held, wanted } = this.newest.get(group) ?? { held: 0, wanted: [] };
    return wanted[(this.allowed.get(group) ?? 0) - held - 1] ?? null;
  }

  #toEvent(next: Step): CapacityEvent | undefined {
    if (next.do === 'configure') {
      this.max = next.max;
      this.groups = next.groups;
      return { type: 'configure', max: next.max, groups: next.groups };
    }
    if (next.do === 'repeat') {
      const old = this.sent.at(-1 - next.back);
      return old && { type: 'request', request: structuredClone(old) };
    }
    const { group, priority, held, wanted } = next;
    const number = (this.newest.get(group)?.number ?? 0) + 1;
    const request = { backend: 'b', group, number, priority, held, wanted };
    this.sent.push(request);
    this.newest.set(group, request);
    this.allowed.set(group, held);
    return { type: 'request', request: structuredClone(request) };
  }
}

/** Applies the steps, with an allocation after each, and calls `check` after each allocation. */
function follow(all: readonly Step[], check: (run: Run, raised: string[]) => void): void {
  const run = new Run();
  for (const each of all) {
    run.apply(each);
    check(run, run.allocate().raised);
  }
}

/** A job comes before an idle runner; then by priority, then by the time it has waited. */
function rank(run: Run, group: string, wish: number | null): [number, number, number] {
  return [Number(wish === null), run.newest.get(group)?.priority ?? 0, wish ?? 0];
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at !== -1 && (a[at] ?? 0) < (b[at] ?? 0);
}

describe('the capacity allocator, for any order and repetition of requests and configurations', () => {
  it('allows all groups together no more than the cap, unless more runners exist already', () => {
    checkProperty(
      property(steps, (all) => {
        follow(all, (run, raised) => {
          expect(raised.length > 0 && run.total > run.max).toBe(false);
        });
      }),
    );
  });

  it('grants nothing while a configured group has not reported its runners', () => {
    checkProperty(
      property(steps, (all) => {
        follow(all, (run, raised) => {
          expect(run.silent.length > 0 ? raised : []).toEqual([]);
        });
      }),
    );
  });

  it('leaves no slot free that a group wants', () => {
    checkProperty(
      property(steps, (all) => {
        follow(all, (run) => {
          const hasFree = run.silent.length === 0 && run.total < run.max;
          const unmet = [...run.newest.keys()].flatMap((group) => run.listUnmet(group));
          expect(hasFree ? unmet : []).toEqual([]);
        });
      }),
    );
  });

  it('serves no wish before one that ranks higher', () => {
    checkProperty(
      property(steps, (all) => {
        follow(all, (run, raised) => {
          const unmet = [...run.newest.keys()].flatMap((group) => {
            const [first] = run.listUnmet(group);
            return first === undefined ? [] : [rank(run, group, first)];
          });
          const served = raised.map((group) => rank(run, group, run.findLastServed(group)));
          expect(served.filter((one) => unmet.some((other) => isBefore(other, one)))).toEqual([]);
        });
      }),
    );
  });

  it('answers every new request, and a repeated or older one never', () => {
    checkProperty(
      property(steps, (all) => {
        const run = new Run();
        for (const each of all) {
          run.apply(each);
          const { answered } = run.allocate();
          expect(each.do === 'repeat' ? answered : []).toEqual([]);
          expect(each.do === 'request' && !answered.includes(each.group)).toBe(false);
        }
        expect(run.wrong).toEqual([]);
        const before = structuredClone(run.allocator.toState());
        for (const request of run.sent) run.allocator.apply({ type: 'request', request });
        expect(run.allocator.allocate('b')).toEqual([]);
        expect(run.allocator.toState()).toEqual(before);
      }),
    );
  });

  it('gives the same grants after continue-as-new at any moment', () => {
    checkProperty(
      property(steps, nat(30), (all, moment) => {
        const [one, other] = [new Run(), new Run()];
        for (const [at, each] of all.entries()) {
          one.apply(each);
          other.apply(each);
          if (at === moment) {
            other.allocator = new CapacityAllocator(JSON.parse(JSON.stringify(other.allocator.toState())));
          }
          expect(other.allocator.allocate('b')).toEqual(one.allocator.allocate('b'));
        }
      }),
    );
  });
});
