import { expect } from 'vitest';
import type { Capacity, Faults } from './candidate.ts';
import type { SuiteWorld } from './world.ts';

/** A placement without capacity. */
export function capacityRows(world: SuiteWorld): void {
  const parts = (): { faults: Faults; capacity: Capacity } => {
    const { faults, capacity } = world.candidate;
    if (faults === undefined || capacity === undefined) throw new Error('the candidate has no placements');
    return { faults, capacity };
  };

  world.row('uses the next placement when one has no capacity, and starts there next time', async () => {
    const { faults, capacity } = parts();
    const backend = capacity.open(world.installation);
    const isFirst = (call: (typeof faults.proxy.calls)[number]): boolean => capacity.isCreateIn(call, 'first');
    faults.proxy.inject({ when: isFirst, fault: { kind: 'answer', answer: capacity.exhausted } });
    world.next();
    const made = await world.create(backend);
    expect(made.state).toBe('running');
    expect(await capacity.findPlacement(made)).toBe('second');
    faults.proxy.clear();
    // The first has capacity again, but has not been asked since.
    const before = faults.proxy.calls.length;
    world.next();
    expect(await capacity.findPlacement(await world.create(backend))).toBe('second');
    expect(faults.proxy.calls.slice(before).filter(isFirst)).toEqual([]);
  });

  world.row('reports that no placement has capacity, and creates the instance as soon as one has', async () => {
    const { faults, capacity } = parts();
    const backend = capacity.open(world.installation);
    faults.proxy.inject({
      when: (call) => capacity.isCreateIn(call, 'first') || capacity.isCreateIn(call, 'second'),
      fault: { kind: 'answer', answer: capacity.exhausted },
    });
    world.next();
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(world.create(backend)).rejects.toMatchObject({ code: 'CAPACITY_EXHAUSTED', retryable: true });
    }
    faults.proxy.clear();
    const made = await world.retry(() => world.create(backend));
    expect(made.state).toBe('running');
    expect(await world.candidate.listLeftovers([world.installation])).toHaveLength(1);
  });
}
