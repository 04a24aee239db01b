import { expect } from 'vitest';
import { BatonError } from '../../../contracts/errors.ts';
import type { Backend, Instance } from '../../../contracts/ports/backend.ts';
import { until } from '../../support/until.ts';
import { BOOTSTRAP } from './candidate.ts';
import { never, type SuiteWorld } from './world.ts';

/** An instance from its creation to its end, and the reports of its death. */
export function lifeRows(world: SuiteWorld): void {
  world.row('creates, describes, lists and deletes an instance', async () => {
    world.next();
    expect(await world.backend.describe(world.spec.runner, never)).toBeUndefined();
    const made = await world.create();
    expect(made).toMatchObject({ runner: world.spec.runner, group: 'linux', state: 'running' });
    expect(made.id).not.toBe('');
    const described = await world.backend.describe(world.spec.runner, never);
    expect(described).toMatchObject({ id: made.id, runner: world.spec.runner, group: 'linux', state: 'running' });
    expect(new Date(described?.createdAt ?? '').getTime()).toBeGreaterThan(Date.now() - 60_000);
    expect(await world.backend.list(never)).toMatchObject([{ id: made.id, runner: world.spec.runner }]);
    await world.backend.delete(world.spec.runner, never);
    expect(await world.backend.describe(world.spec.runner, never)).toBeUndefined();
    expect(await world.backend.list(never)).toEqual([]);
    expect(await world.candidate.listLeftovers([world.installation])).toEqual([]);
  });

  world.row('makes one instance of two creates, one after the other, at once, or from two processes', async () => {
    world.next();
    const first = await world.create();
    const other = world.candidate.open(world.installation);
    const more = await Promise.all([world.create(), world.create(), world.create(other)]);
    for (const instance of more) expect(instance).toMatchObject({ id: first.id, state: 'running' });
    expect(await world.backend.list(never)).toHaveLength(1);
    world.next();
    // The engine takes a name before it knows the container: one of them may be told to try again.
    const create = (backend?: Backend): Promise<Instance> => world.retry(() => world.create(backend));
    const both = await Promise.all([create(), create(other)]);
    expect(both[0].id).toBe(both[1].id);
    expect(await world.backend.list(never)).toHaveLength(2);
  });

  world.row('creates nothing where the create may be out of date', async () => {
    const refuse = (): Promise<never> => Promise.reject(new BatonError('BACKEND_UNAVAILABLE', 'it may be out of date'));
    await expect(world.backend.create(world.next(), BOOTSTRAP, never, refuse)).rejects.toThrow('it may be out of date');
    expect(await world.backend.describe(world.spec.runner, never)).toBeUndefined();
    expect(await world.candidate.listLeftovers([world.installation])).toEqual([]);
    const made = await world.create();
    // Nothing is created then.
    expect(await world.backend.create(world.spec, BOOTSTRAP, never, refuse)).toMatchObject({ id: made.id });
  });

  world.row(
    'refuses a create with the same name and other parameters, and leaves the first instance alone',
    async () => {
      const { id } = await world.backend.create(world.next(), BOOTSTRAP, never);
      world.spec = { ...world.spec, pids: world.spec.pids + 1 };
      await expect(world.create()).rejects.toMatchObject({ code: 'INSTANCE_CONFLICT', retryable: false });
      expect(await world.backend.describe(world.spec.runner, never)).toMatchObject({ id, state: 'running' });
    },
  );

  world.row('returns an instance that has died as dead, and does not start it again', async () => {
    world.next();
    const made = await world.create();
    await world.candidate.kill(made);
    await until(async () => (await world.backend.describe(world.spec.runner, never))?.state === 'dead', {
      what: 'it is dead',
    });
    const { exitCode } = world.candidate.killed;
    expect(await world.create()).toMatchObject({ id: made.id, state: 'dead', exitCode });
  });

  world.row('accepts a second delete, and the delete of an instance that never existed', async () => {
    world.next();
    await world.create();
    await Promise.all([
      world.backend.delete(world.spec.runner, never),
      world.candidate.open(world.installation).delete(world.spec.runner, never),
    ]);
    await world.backend.delete(world.spec.runner, never);
    await world.backend.delete('never-existed', never);
    expect(await world.candidate.listLeftovers([world.installation])).toEqual([]);
  });

  world.row('lists, describes, deletes and reports no instance of another installation', async () => {
    world.next(world.otherInstallation);
    const theirs = world.candidate.open(world.otherInstallation);
    const made = await world.create(theirs);
    const ours = world.watch(world.backend);
    const seenByThem = world.watch(theirs);
    expect(await world.backend.list(never)).toEqual([]);
    expect(await world.backend.describe(world.spec.runner, never)).toBeUndefined();
    await world.backend.delete(world.spec.runner, never);
    expect(await theirs.describe(world.spec.runner, never)).toMatchObject({ id: made.id, state: 'running' });
    await world.candidate.kill(made);
    await seenByThem.waitForDeath(world.spec.runner);
    expect(ours.deaths.map(({ runner }) => runner)).not.toContain(world.spec.runner);
  });

  world.row('reports a death at once, whichever process created the instance', async () => {
    const watcher = world.watch(world.backend);
    const other = world.watch(world.candidate.open(world.installation));
    world.next();
    const made = await world.create();
    await world.candidate.kill(made);
    const { exitCode, reason } = world.candidate.killed;
    for (const one of [watcher, other]) {
      const dead = await one.waitForDeath(world.spec.runner);
      expect(dead).toMatchObject({ id: made.id, runner: world.spec.runner, group: 'linux', state: 'dead', exitCode });
      expect(dead.reason).toMatch(reason);
    }
  });

  world.row('reports a death that happened while no process watched', async () => {
    world.next();
    const made = await world.create();
    await world.candidate.kill(made);
    await until(async () => (await world.backend.describe(world.spec.runner, never))?.state === 'dead', {
      what: 'it is dead',
    });
    const dead = await world.watch(world.candidate.open(world.installation)).waitForDeath(world.spec.runner);
    expect(dead).toMatchObject({ id: made.id, state: 'dead' });
  });

  world.row('does not report the end of an instance that it deletes itself', async () => {
    const watcher = world.watch(world.backend);
    world.next();
    await world.create();
    await world.backend.delete(world.spec.runner, never);
    // The death of another instance, which is reported after the first one's would have been.
    const first = world.spec.runner;
    world.next();
    await world.candidate.kill(await world.create());
    await watcher.waitForDeath(world.spec.runner);
    expect(watcher.deaths.map(({ runner }) => runner)).not.toContain(first);
  });
}
