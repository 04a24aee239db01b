import { describe, expect, it } from 'vitest';
import { FAULT_KINDS } from '../../chaos/fault-kinds.ts';
import { DOCKER_GROUP, listProcessNames, LOCAL_GROUPS } from '../../chaos/installation.ts';
import { createSchedule, formatSchedule, hashSchedule, type ScheduleOptions } from '../../chaos/schedule.ts';

const groups = [...LOCAL_GROUPS, DOCKER_GROUP];
const OPTIONS: ScheduleOptions = {
  seed: 7,
  jobs: 1000,
  faults: 200,
  groups,
  processes: listProcessNames(groups),
  maxFaultMs: 40_000,
};

describe('a schedule of chaos', () => {
  it('is the same for the same seed, down to its text and hash', () => {
    expect(createSchedule(OPTIONS)).toEqual(createSchedule({ ...OPTIONS }));
    expect(formatSchedule(createSchedule(OPTIONS))).toBe(formatSchedule(createSchedule(OPTIONS)));
    expect(hashSchedule(createSchedule(OPTIONS))).toMatch(/^[\da-f]{12}$/);
    expect(hashSchedule(createSchedule(OPTIONS))).toBe(hashSchedule(createSchedule(OPTIONS)));
  });

  it('differs for each of a hundred seeds', () => {
    const hashes = Array.from({ length: 100 }, (_, seed) => hashSchedule(createSchedule({ ...OPTIONS, seed })));
    expect(new Set(hashes).size).toBe(100);
  });

  it('has all jobs, each queued before what waits for its start', () => {
    const { waves, faults } = createSchedule(OPTIONS);
    let queued = 0;
    for (const { after, count } of waves) {
      expect(after).toBeLessThanOrEqual(queued);
      queued += count;
    }
    expect(queued).toBe(OPTIONS.jobs);
    expect(new Set(waves.map(({ group }) => group))).toEqual(new Set(groups.map(({ name }) => name)));
    for (const { after } of faults) expect(after).toBeLessThanOrEqual(OPTIONS.jobs);
  });

  it('has faults of every kind, and of every process and group, before long', () => {
    const faults = createSchedule({ ...OPTIONS, faults: 100 }).faults.map(({ fault }) => fault);
    expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS));
    const targets = faults.flatMap((fault) => ('target' in fault ? [fault.target] : []));
    expect(new Set(targets)).toEqual(new Set(OPTIONS.processes));
    const hit = faults.flatMap((fault) => ('group' in fault ? [fault.group] : []));
    expect(new Set(hit)).toEqual(new Set(groups.map(({ name }) => name)));
  });

  it('has only the chosen kinds of faults, none longer than the maximum', () => {
    const { faults } = createSchedule({ ...OPTIONS, kinds: ['stop', 'cancel'], maxFaultMs: 3_000 });
    expect(new Set(faults.map(({ fault }) => fault.kind))).toEqual(new Set(['stop', 'cancel']));
    const times = faults.flatMap(({ fault }) => (fault.kind === 'stop' ? [fault.forMs] : []));
    expect(Math.max(...times)).toBeLessThanOrEqual(3_000);
  });

  it('has mostly short faults, and some of nearly the longest time', () => {
    const { faults } = createSchedule({ ...OPTIONS, kinds: ['stop'] });
    const times = faults.flatMap(({ fault }) => (fault.kind === 'stop' ? [fault.forMs] : []));
    expect(times.filter((time) => time <= 6_000).length).toBeGreaterThan(times.length / 2);
    expect(times.filter((time) => time > 30_000).length).toBeGreaterThan(0);
  });
});
