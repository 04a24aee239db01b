import { expect } from 'vitest';
import type { Backend } from '../../../contracts/ports/backend.ts';
import type { Fault } from '../../support/fault-proxy.ts';
import type { Faults } from './candidate.ts';
import { never, type SuiteWorld } from './world.ts';

/** An API that throttles, fails, does not answer, or denies. */
export function faultRows(world: SuiteWorld): void {
  const parts = (): Faults & { backend: Backend } => {
    const { faults } = world.candidate;
    if (faults === undefined) throw new Error('the candidate has no API that could fail');
    return { ...faults, backend: faults.open(world.installation) };
  };

  /** Creates an instance with these faults, and expects exactly one. */
  async function expectOneDespite(...faults: { fault: Fault; times: number }[]): Promise<void> {
    const { proxy, backend, isCreate } = parts();
    for (const { fault, times } of faults) proxy.inject({ when: isCreate, times, fault });
    world.next();
    const made = await world.retry(() => world.create(backend));
    expect(made).toMatchObject({ runner: world.spec.runner, state: 'running' });
    expect(await world.candidate.open(world.installation).list(never)).toMatchObject([{ id: made.id }]);
    expect(await world.create(backend)).toMatchObject({ id: made.id });
  }

  world.row('creates an instance while the API throttles', async () => {
    const { throttled, proxy, isLook } = parts();
    if (throttled === undefined) throw new Error('the candidate’s API does not throttle');
    proxy.inject({ when: isLook, times: 2, fault: { kind: 'answer', answer: throttled } });
    await expectOneDespite({ fault: { kind: 'answer', answer: throttled }, times: 4 });
  });

  world.row('creates one instance when the API answers 500 after it did the work', async () => {
    await expectOneDespite({ fault: { kind: 'answer-after', answer: parts().failed }, times: 2 });
  });

  world.row('creates one instance when the connection breaks after the API did the work', async () => {
    await expectOneDespite({ fault: { kind: 'cut-after' }, times: 2 });
  });

  world.row(
    'creates one instance when the API does not answer, and ends at once when cancelled meanwhile',
    async () => {
      const { proxy, backend, isCreate } = parts();
      for (const kind of ['hang', 'hang-after'] as const) {
        const silence = proxy.inject({ when: isCreate, fault: { kind } });
        world.next();
        const ending = new AbortController();
        const creating = world.create(backend, ending.signal);
        const ended = creating.then(
          () => 'made',
          () => 'ended',
        );
        await silence.hit;
        ending.abort(new Error('cancelled'));
        expect(await ended).toBe('ended');
        silence.remove();
        const made = await world.retry(() => world.create(backend));
        expect(made.state).toBe('running');
        expect(await world.candidate.open(world.installation).list(never)).toMatchObject([{ id: made.id }]);
        await world.backend.delete(world.spec.runner, never);
      }
    },
  );

  world.row('never reads a failed list as an empty one: reports no death, counts nothing as deleted', async () => {
    const { proxy, backend, isLook, failed } = parts();
    world.next();
    const made = await world.create(backend);
    const { runner } = world.spec;
    const watcher = world.watch(backend);
    const failing = proxy.inject({ when: isLook, fault: { kind: 'answer', answer: failed } });
    for (const call of [
      () => backend.describe(runner, never),
      () => backend.list(never),
      () => backend.delete(runner, never),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', retryable: true });
    }
    await failing.hit;
    failing.remove();
    expect(await world.backend.describe(runner, never)).toMatchObject({ id: made.id, state: 'running' });
    world.next();
    await world.candidate.kill(await world.create(backend));
    await watcher.waitForDeath(world.spec.runner);
    expect(watcher.deaths.map((dead) => dead.runner)).not.toContain(runner);
  });

  world.row('deletes an instance while the API throttles and fails', async () => {
    const { proxy, backend, isDelete, failed, throttled } = parts();
    world.next();
    await world.create(backend);
    proxy.inject({ when: isDelete, times: 1, fault: { kind: 'answer-after', answer: failed } });
    proxy.inject({ when: isDelete, times: 3, fault: { kind: 'answer', answer: throttled ?? failed } });
    await world.retry(() => backend.delete(world.spec.runner, never));
    expect(await world.candidate.listLeftovers([world.installation])).toEqual([]);
    expect(await backend.describe(world.spec.runner, never)).toBeUndefined();
  });

  world.row('reports that its credentials expired, and continues with new ones', async () => {
    const { proxy, backend, expired } = parts();
    if (expired === undefined) throw new Error('the candidate’s API requires no credentials');
    world.next();
    const made = await world.create(backend);
    const { runner } = world.spec;
    const watcher = world.watch(backend);
    const denying = proxy.inject({ when: () => true, fault: { kind: 'answer', answer: expired } });
    for (const call of [
      () => world.create(backend),
      () => backend.describe(runner, never),
      () => backend.list(never),
      () => backend.delete(runner, never),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'BACKEND_DENIED', retryable: true });
    }
    denying.remove();
    expect(await world.retry(() => world.create(backend))).toMatchObject({ id: made.id, state: 'running' });
    world.next();
    await world.candidate.kill(await world.create(backend));
    await watcher.waitForDeath(world.spec.runner);
    expect(watcher.deaths.map((dead) => dead.runner)).not.toContain(runner);
  });
}
