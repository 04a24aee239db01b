import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { InstanceSpec } from '../../../contracts/ports/backend.ts';
import { BOOTSTRAP } from './candidate.ts';
import { never, type SuiteWorld } from './world.ts';

/** Creates that were cancelled, or whose process was killed. */
export function recoveryRows(world: SuiteWorld): void {
  world.row('finishes a create that its process left half-way, at every step', async () => {
    for (const [what, make] of world.candidate.partialCreates) {
      world.next();
      await make(world.spec);
      const made = await world.create();
      expect([what, made]).toMatchObject([what, { state: 'running', runner: world.spec.runner }]);
      expect([what, await world.create(world.candidate.open(world.installation))]).toMatchObject([
        what,
        { id: made.id },
      ]);
      expect([what, ...(await world.backend.list(never))]).toHaveLength(2);
      await world.backend.delete(world.spec.runner, never);
      expect([what, ...(await world.candidate.listLeftovers([world.installation]))]).toEqual([what]);
    }
  });

  world.row('deletes what a create left half-way, at every step', async () => {
    for (const [what, make] of world.candidate.partialCreates) {
      world.next();
      await make(world.spec);
      await world.backend.delete(world.spec.runner, never);
      expect([what, ...(await world.candidate.listLeftovers([world.installation]))]).toEqual([what]);
    }
  });

  world.row('ends a cancelled create; the next create finishes it', async () => {
    for (const ms of [0, 5, 40, 120]) {
      world.next();
      const abort = ms === 0 ? AbortSignal.abort(new Error('cancelled')) : AbortSignal.timeout(ms);
      const outcome = await world.create(world.backend, abort).then(
        () => 'made',
        (error: unknown) => (abort.aborted ? 'cancelled' : error),
      );
      expect(ms === 0 ? ['cancelled'] : ['made', 'cancelled']).toContain(outcome);
      const made = await world.retry(() => world.create());
      expect(made.state).toBe('running');
      expect((await world.backend.list(never)).map(({ runner }) => runner)).toEqual([world.spec.runner]);
      await world.backend.delete(world.spec.runner, never);
    }
  });

  world.row('finishes a create whose process was killed in the middle', async () => {
    for (const ms of world.candidate.killAfterMs) {
      world.next();
      await createAndDie(world.candidate.config, world.spec, ms);
      const made = await world.retry(() => world.create());
      expect(made.state).toBe('running');
      expect((await world.backend.list(never)).map(({ runner }) => runner)).toEqual([world.spec.runner]);
      await world.backend.delete(world.spec.runner, never);
      expect([`killed after ${ms} ms`, ...(await world.candidate.listLeftovers([world.installation]))]).toHaveLength(1);
    }
  });

  world.row('describes, watches and deletes instances of a process that has ended', async () => {
    world.next();
    await createAndDie(world.candidate.config, world.spec, undefined);
    const made = await world.create();
    expect(made.state).toBe('running');
    const watcher = world.watch(world.backend);
    await world.candidate.kill(made);
    expect(await watcher.waitForDeath(world.spec.runner)).toMatchObject({ id: made.id, state: 'dead' });
  });
}

/**
 * Creates an instance in a separate process, and kills that process with SIGKILL.
 *
 * @param afterMs milliseconds after the create began; undefined: after it finished
 */
async function createAndDie(config: object, spec: InstanceSpec, afterMs: number | undefined): Promise<void> {
  const main = fileURLToPath(new URL('create-main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, JSON.stringify({ config, spec, bootstrap: BOOTSTRAP })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  const waitForLine = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => void (lines.join('').includes(text) && resolve());
      child.stdout.on('data', look);
      void exited.then(() => reject(new Error(`the process ended without printing ${text}`)));
      look();
    });
  child.stdout.on('data', (chunk: Buffer) => lines.push(chunk.toString()));
  await waitForLine('ready');
  child.stdin.write('go\n');
  if (afterMs === undefined) await waitForLine('made');
  else await new Promise((resolve) => setTimeout(resolve, afterMs));
  child.kill('SIGKILL');
  await exited;
}
