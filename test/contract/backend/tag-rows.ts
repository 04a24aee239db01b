import { expect } from 'vitest';
import type { JobTags } from '../../../contracts/ports/backend.ts';
import { never, type SuiteWorld } from './world.ts';

/** Job code can set any text. */
const BUSY: JobTags = {
  phase: 'busy',
  repository: 'acme/Hello.World',
  workflow: `CI <nightly>\n\u0000${'ü€😀'.repeat(200)}`,
  job: '',
  run: '123456789012',
  attempt: '1',
};
const COMPLETING: JobTags = { ...BUSY, phase: 'completing', workflow: 'CI', job: 'build (linux, 24)' };

/** The tags of a running instance. */
export function tagRows(world: SuiteWorld): void {
  world.row('tags an instance with its job, twice and by two processes at once, and changes no other tag', async () => {
    const { tags } = world.candidate;
    if (tags === undefined) throw new Error('the candidate cannot read tags');
    world.next();
    const made = await world.create();
    const first = await tags.read(made);
    await tags.set(made);
    const others = await tags.read(made);
    expect(Object.keys(others).length).toBeGreaterThan(Object.keys(first).length);
    const { runner } = world.spec;
    expect(await world.backend.tag?.(runner, BUSY, never)).toBe('tagged');
    expect(await world.backend.tag?.(runner, BUSY, never)).toBe('tagged');
    const busy = await tags.read(made);
    expect(busy).toMatchObject(others);
    const added = Object.keys(busy).filter((name) => !(name in others));
    expect(added.map((name) => name.replace(/^baton[.-]/, '')).sort()).toEqual(Object.keys(BUSY).sort());
    const other = world.candidate.open(world.installation);
    await Promise.all([
      world.backend.tag?.(runner, COMPLETING, never),
      other.tag?.(runner, COMPLETING, never),
      tags.set(made),
    ]);
    const completing = await tags.read(made);
    expect(completing).toMatchObject(first);
    expect(Object.keys(completing).sort()).toEqual(Object.keys(busy).sort());
    const getValue = (name: string): string | undefined => completing[added.find((one) => one.endsWith(name)) ?? ''];
    expect([getValue('phase'), getValue('run'), getValue('attempt')]).toEqual(['completing', '123456789012', '1']);
    expect(await world.backend.describe(runner, never)).toMatchObject({ id: made.id, state: 'running' });
    // Its tags don't change what a repeated create finds.
    expect(await world.create()).toMatchObject({ id: made.id });
  });

  world.row('tags no instance that never existed, and none of another installation', async () => {
    expect(await world.backend.tag?.('never-existed', BUSY, never)).toBe('absent');
    world.next(world.otherInstallation);
    const theirs = world.candidate.open(world.otherInstallation);
    const made = await world.create(theirs);
    const before = await world.candidate.tags?.read(made);
    expect(await world.backend.tag?.(world.spec.runner, BUSY, never)).toBe('absent');
    expect(await world.candidate.tags?.read(made)).toEqual(before);
    await theirs.delete(world.spec.runner, never);
    expect(await theirs.tag?.(world.spec.runner, BUSY, never)).toBe('absent');
  });
}
