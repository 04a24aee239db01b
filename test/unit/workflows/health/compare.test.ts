import { describe, expect, it } from 'vitest';
import type { ObservedInstance, ObservedWorkflow } from '../../../../contracts/workflows/health.ts';
import {
  findMissingInstances,
  findMissingRegistrations,
  findMaybeOrphaned,
  describeRemains,
  updateMarks,
  type Observations,
} from '../../../../workflows/health/compare.ts';

const OLD = 1000;
const LONG_AGO = 500;
const NOW = 2000;

const instance = (runner: string, since = LONG_AGO): ObservedInstance => ({ runner, state: 'running', since });
const workflow = (runner: string, more: Partial<ObservedWorkflow> = {}): ObservedWorkflow => {
  return { runner, since: LONG_AGO, expectsInstance: true, expectsRegistration: true, ...more };
};
const NOTHING: Observations = { workflows: [], slots: [], instances: [], registrations: [] };

describe('runners that may be orphaned', () => {
  it.each<[string, Partial<Observations>, string[]]>([
    ['an old instance without a workflow', { instances: [instance('r')] }, ['r']],
    ['no instance that was just created', { instances: [instance('r', NOW)] }, []],
    ['a registration without a workflow', { registrations: [{ runner: 'r', busy: false }] }, ['r']],
    ['an old slot without a workflow', { slots: [{ runner: 'r', since: LONG_AGO, busy: false }] }, ['r']],
    ['no slot that was just taken', { slots: [{ runner: 'r', since: NOW, busy: false }] }, []],
    ['no instance that has a workflow', { instances: [instance('r')], workflows: [workflow('r')] }, []],
    [
      'a runner with an instance and a registration, once',
      { instances: [instance('r')], registrations: [{ runner: 'r', busy: true }] },
      ['r'],
    ],
  ])('include %s', (_what, observations, found) => {
    expect(findMaybeOrphaned({ ...NOTHING, ...observations }, OLD)).toEqual(found);
  });

  it('are none where Temporal gave no answer', () => {
    const observations = { ...NOTHING, instances: [instance('r')], workflows: undefined };
    expect(findMaybeOrphaned(observations, OLD)).toEqual([]);
  });
});

describe('workflows whose instance is missing', () => {
  it.each<[string, Partial<Observations>, string[]]>([
    ['a workflow that should have an instance', { workflows: [workflow('r')] }, ['r']],
    ['none that creates or removes its instance', { workflows: [workflow('r', { expectsInstance: false })] }, []],
    ['none that has just started', { workflows: [workflow('r', { since: NOW })] }, []],
    ['none that has its instance', { workflows: [workflow('r')], instances: [instance('r')] }, []],
    ['none where the backend gave no answer', { workflows: [workflow('r')], instances: undefined }, []],
  ])('include %s', (_what, observations, found) => {
    expect(findMissingInstances({ ...NOTHING, ...observations }, OLD)).toEqual(found);
  });
});

describe('workflows whose registration is missing', () => {
  it.each<[string, Partial<Observations>, string[]]>([
    ['a workflow that should have a registration', { workflows: [workflow('r')] }, ['r']],
    ['none whose program is not online', { workflows: [workflow('r', { expectsRegistration: false })] }, []],
    ['none that has just started', { workflows: [workflow('r', { since: NOW })] }, []],
    ['none that is registered', { workflows: [workflow('r')], registrations: [{ runner: 'r', busy: false }] }, []],
    ['none where the forge gave no answer', { workflows: [workflow('r')], registrations: undefined }, []],
    ['none where Temporal gave no answer', { workflows: undefined }, []],
  ])('include %s', (_what, observations, found) => {
    expect(findMissingRegistrations({ ...NOTHING, ...observations }, OLD)).toEqual(found);
  });
});

describe('the findings of a health check', () => {
  it('keep the time of the first finding, and drop a mark that no longer applies', () => {
    const before = [
      { kind: 'orphaned', runner: 'old', since: 1 },
      { kind: 'orphaned', runner: 'well', since: 1 },
      { kind: 'missingInstance', runner: 'new', since: 1 },
    ] as const;
    expect(updateMarks(before, [{ kind: 'orphaned', runners: ['old', 'new'] }], NOW)).toEqual([
      { kind: 'orphaned', runner: 'old', since: 1 },
      { kind: 'orphaned', runner: 'new', since: NOW },
    ]);
  });

  it('name what remains of a runner', () => {
    const observations = { ...NOTHING, instances: [instance('r')], slots: [{ runner: 'r', since: 0, busy: false }] };
    expect(describeRemains('r', observations)).toBe('an instance and a slot in the dispatcher');
  });
});
