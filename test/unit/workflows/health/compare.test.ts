import { describe, expect, it } from 'vitest';
import type { ObservedInstance, ObservedWorkflow } from '../../../../contracts/workflows/health.ts';
import { maybeBodiless, maybeOwnerless, remainsOf, remark, type Sights } from '../../../../workflows/health/compare.ts';

const OLD = 1000;
const LONG_AGO = 500;
const NOW = 2000;

const instance = (runner: string, since = LONG_AGO): ObservedInstance => ({ runner, state: 'running', since });
const workflow = (runner: string, more: Partial<ObservedWorkflow> = {}): ObservedWorkflow => {
  return { runner, since: LONG_AGO, expectsInstance: true, ...more };
};
const NOTHING: Sights = { workflows: [], slots: [], instances: [], registrations: [] };

describe('without a workflow', () => {
  it.each<[string, Partial<Sights>, string[]]>([
    ['an instance', { instances: [instance('r')] }, ['r']],
    ['one that was made just now', { instances: [instance('r', NOW)] }, []],
    ['a registration', { registrations: [{ runner: 'r', busy: false }] }, ['r']],
    ['a place in the dispatcher', { slots: [{ runner: 'r', since: LONG_AGO, busy: false }] }, ['r']],
    ['a place taken just now', { slots: [{ runner: 'r', since: NOW, busy: false }] }, []],
    ['what has one', { instances: [instance('r')], workflows: [workflow('r')] }, []],
    ['all of one runner, once', { instances: [instance('r')], registrations: [{ runner: 'r', busy: true }] }, ['r']],
  ])('%s', (_what, sights, found) => {
    expect(maybeOwnerless({ ...NOTHING, ...sights }, OLD)).toEqual(found);
  });

  it('nothing is, where Temporal gave no answer', () => {
    const sights = { ...NOTHING, instances: [instance('r')], workflows: undefined };
    expect(maybeOwnerless(sights, OLD)).toEqual([]);
  });
});

describe('without an instance', () => {
  it.each<[string, Partial<Sights>, string[]]>([
    ['a workflow that should have one', { workflows: [workflow('r')] }, ['r']],
    ['one that makes or removes it', { workflows: [workflow('r', { expectsInstance: false })] }, []],
    ['one that began just now', { workflows: [workflow('r', { since: NOW })] }, []],
    ['one that has it', { workflows: [workflow('r')], instances: [instance('r')] }, []],
    ['none, where the backend gave no answer', { workflows: [workflow('r')], instances: undefined }, []],
  ])('%s', (_what, sights, found) => {
    expect(maybeBodiless({ ...NOTHING, ...sights }, OLD)).toEqual(found);
  });
});

describe('findings of a health check', () => {
  it('a mark keeps the time of its first finding, and goes with what it marked', () => {
    const before = [
      { kind: 'orphaned', runner: 'old', since: 1 },
      { kind: 'orphaned', runner: 'well', since: 1 },
      { kind: 'missingInstance', runner: 'new', since: 1 },
    ] as const;
    expect(remark(before, [{ kind: 'orphaned', runners: ['old', 'new'] }], NOW)).toEqual([
      { kind: 'orphaned', runner: 'old', since: 1 },
      { kind: 'orphaned', runner: 'new', since: NOW },
    ]);
  });

  it('what remains is named', () => {
    const sights = { ...NOTHING, instances: [instance('r')], slots: [{ runner: 'r', since: 0, busy: false }] };
    expect(remainsOf('r', sights)).toBe('an instance and a place in the dispatcher');
  });
});
