import { expect } from 'vitest';
import { never, type SuiteWorld } from './world.ts';

/** More than one page, so that reading only the first page fails. */
const MANY = 1005;

/** Lists that lag behind, and long lists. */
export function listRows(world: SuiteWorld): void {
  world.row('finds and deletes a new instance that is not listed yet', async () => {
    const { faults } = world.candidate;
    if (faults?.emptyList === undefined) throw new Error('the candidate’s lists do not lag');
    const { proxy, emptyList, isLook, isLagging = isLook } = faults;
    const backend = faults.open(world.installation);
    const watcher = world.watch(backend);
    const lag = (): { remove(): void; hit: Promise<void> } =>
      proxy.inject({ when: isLagging, fault: { kind: 'answer', answer: emptyList } });
    const first = lag();
    world.next();
    const made = await world.create(backend);
    expect(made.state).toBe('running');
    // The process that created it does not rely on the list.
    expect(await backend.list(never)).toMatchObject([{ id: made.id, runner: world.spec.runner, state: 'running' }]);
    expect(await backend.describe(world.spec.runner, never)).toMatchObject({ id: made.id, state: 'running' });
    // Another process may have to wait, but does not create a second one.
    const other = faults.open(world.installation);
    const again = world.retry(() => world.create(other));
    await first.hit;
    first.remove();
    expect(await again).toMatchObject({ id: made.id });
    expect(await world.candidate.listLeftovers([world.installation])).toHaveLength(1);
    expect(watcher.deaths.map(({ runner }) => runner)).not.toContain(world.spec.runner);
    // A new process, which finds nothing at first.
    const second = lag();
    const deleting = world.retry(() => faults.open(world.installation).delete(world.spec.runner, never));
    await second.hit;
    second.remove();
    await deleting;
    expect(await world.candidate.listLeftovers([world.installation])).toEqual([]);
  });

  world.row('lists more than 1,000 instances', async () => {
    if (world.candidate.createMany === undefined) throw new Error('the candidate cannot create many');
    const remove = await world.candidate.createMany(world.installation, MANY);
    try {
      const listed = (await world.candidate.open(world.installation).list(never)).map(
        ({ id, runner }) => `${runner} ${id}`,
      );
      expect(listed).toHaveLength(MANY);
      expect(new Set(listed).size).toBe(MANY);
    } finally {
      await remove();
    }
  });
}
