import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, Bootstrap, Instance, InstanceSpec } from '../../../contracts/instance.ts';
import { runnerName } from '../../../contracts/runner/name.ts';
import { eventually } from '../../support/service.ts';

/** A backend under test, and what the suite can't do through its interface. */
export interface Candidate {
  /** A backend as another process would have it: nothing is shared but what is on the machine. */
  open(manager: string): Backend;
  spec(manager: string, runner: string): InstanceSpec;
  /** For a process that makes an instance and is killed meanwhile: what {@link createMain} needs. */
  config: object;
  /** Moments to kill it at, milliseconds after it began. */
  killAfterMs: number[];
  /** What a process that died in the middle leaves behind, by a name for the test. */
  halfMade: [what: string, make: (spec: InstanceSpec) => Promise<void>][];
  /** Makes the instance die, from outside. */
  kill(instance: Instance): Promise<void>;
  /** All that is on the machine of these managers: containers, networks, processes, folders. */
  leftovers(managers: string[]): Promise<string[]>;
}

/** The agent waits for this server, so that the instance lives until somebody ends it. */
export const BOOTSTRAP: Bootstrap = { natsUrl: 'nats://127.0.0.1:1', credentials: 'SECRET-CREDENTIAL' };

const never = new AbortController().signal;

/** Holds {@link Backend} to its contract, against the real thing. */
export function backendContract(name: string, start: () => Promise<Candidate>): void {
  describe(`the ${name} backend`, () => {
    const manager = `t${randomUUID().slice(0, 8)}`;
    const neighbour = `${manager}x`;
    let candidate: Candidate;
    let backend: Backend;
    let spec: InstanceSpec;
    const watching: { end: () => Promise<void> }[] = [];

    beforeAll(async () => {
      candidate = await start();
      backend = candidate.open(manager);
    });

    afterEach(async () => {
      for (const watch of watching.splice(0)) await watch.end();
      for (const who of [manager, neighbour]) {
        const its = candidate.open(who);
        for (const { runner } of await its.list(never)) await its.delete(runner, never);
      }
      expect(await candidate.leftovers([manager, neighbour])).toEqual([]);
    });

    afterAll(async () => {
      expect(await candidate.leftovers([manager, neighbour])).toEqual([]);
    });

    const next = (who = manager): InstanceSpec => {
      spec = candidate.spec(who, runnerName(who, 'linux', randomUUID()));
      return spec;
    };
    const create = (on = backend, abort = never): Promise<Instance> => on.create(spec, BOOTSTRAP, abort);

    /** Watches, and tells of the first death of a runner. */
    function watch(on: Backend): { deathOf(runner: string): Promise<Instance>; deaths: Instance[] } {
      const ending = new AbortController();
      const deaths: Instance[] = [];
      const waiting = new Set<() => void>();
      const watched = on.watch((dead) => {
        deaths.push(dead);
        for (const look of waiting) look();
      }, ending.signal);
      watching.push({
        end: async () => {
          ending.abort();
          await watched;
        },
      });
      const deathOf = (runner: string): Promise<Instance> =>
        new Promise((resolve) => {
          const look = (): void => {
            const dead = deaths.find((candidate) => candidate.runner === runner);
            if (dead) resolve(dead);
          };
          waiting.add(look);
          look();
        });
      return { deathOf, deaths };
    }

    it('creates one instance, describes it, lists it, deletes all of it', async () => {
      next();
      expect(await backend.describe(spec.runner, never)).toBeUndefined();
      const made = await create();
      expect(made).toMatchObject({ runner: spec.runner, group: 'linux', state: 'running' });
      expect(made.id).not.toBe('');
      const described = await backend.describe(spec.runner, never);
      expect(described).toMatchObject({ id: made.id, runner: spec.runner, group: 'linux', state: 'running' });
      expect(new Date(described?.createdAt ?? '').getTime()).toBeGreaterThan(Date.now() - 60_000);
      expect(await backend.list(never)).toMatchObject([{ id: made.id, runner: spec.runner }]);
      await backend.delete(spec.runner, never);
      expect(await backend.describe(spec.runner, never)).toBeUndefined();
      expect(await backend.list(never)).toEqual([]);
      expect(await candidate.leftovers([manager])).toEqual([]);
    });

    it('creates twice, one after the other, at once, and from two processes: one instance', async () => {
      next();
      const first = await create();
      const other = candidate.open(manager);
      const more = await Promise.all([create(), create(), create(other)]);
      for (const instance of more) expect(instance).toMatchObject({ id: first.id, state: 'running' });
      expect(await backend.list(never)).toHaveLength(1);
      next();
      const both = await Promise.all([create(), create(other)]);
      expect(both[0].id).toBe(both[1].id);
      expect(await backend.list(never)).toHaveLength(2);
    });

    it('refuses the same name with other parameters, and leaves the first alone', async () => {
      const { id } = await backend.create(next(), BOOTSTRAP, never);
      spec = { ...spec, pids: spec.pids + 1 };
      await expect(create()).rejects.toMatchObject({ code: 'INSTANCE_CONFLICT', retryable: false });
      expect(await backend.describe(spec.runner, never)).toMatchObject({ id, state: 'running' });
    });

    it('answers with an instance that ran and died, and does not start it again', async () => {
      next();
      const made = await create();
      await candidate.kill(made);
      await eventually('it is dead', async () => (await backend.describe(spec.runner, never))?.state === 'dead');
      expect(await create()).toMatchObject({ id: made.id, state: 'dead', exitCode: 137 });
    });

    it('deletes twice, and what never was', async () => {
      next();
      await create();
      await Promise.all([backend.delete(spec.runner, never), candidate.open(manager).delete(spec.runner, never)]);
      await backend.delete(spec.runner, never);
      await backend.delete('never-was', never);
      expect(await candidate.leftovers([manager])).toEqual([]);
    });

    it('knows only its own manager’s: lists, describes, deletes and tells no other’s', async () => {
      next(neighbour);
      const theirs = candidate.open(neighbour);
      const made = await create(theirs);
      const ours = watch(backend);
      const seenByThem = watch(theirs);
      expect(await backend.list(never)).toEqual([]);
      expect(await backend.describe(spec.runner, never)).toBeUndefined();
      await backend.delete(spec.runner, never);
      expect(await theirs.describe(spec.runner, never)).toMatchObject({ id: made.id, state: 'running' });
      await candidate.kill(made);
      await seenByThem.deathOf(spec.runner);
      expect(ours.deaths).toEqual([]);
    });

    it('tells a death at once, whoever made the instance', async () => {
      const watcher = watch(backend);
      const other = watch(candidate.open(manager));
      next();
      const made = await create();
      await candidate.kill(made);
      for (const one of [watcher, other]) {
        const dead = await one.deathOf(spec.runner);
        expect(dead).toMatchObject({ id: made.id, runner: spec.runner, group: 'linux', state: 'dead', exitCode: 137 });
        expect(dead.reason).toMatch(/137|SIGKILL/);
      }
    });

    it('tells a death that happened while nobody watched', async () => {
      next();
      const made = await create();
      await candidate.kill(made);
      await eventually('it is dead', async () => (await backend.describe(spec.runner, never))?.state === 'dead');
      const dead = await watch(candidate.open(manager)).deathOf(spec.runner);
      expect(dead).toMatchObject({ id: made.id, state: 'dead' });
    });

    it('does not tell the end of what it deletes itself', async () => {
      const watcher = watch(backend);
      next();
      await create();
      await backend.delete(spec.runner, never);
      // Another's death, told after it would have been.
      const first = spec.runner;
      next();
      await candidate.kill(await create());
      await watcher.deathOf(spec.runner);
      expect(watcher.deaths.map(({ runner }) => runner)).not.toContain(first);
    });

    it('finishes what its maker left, wherever it stopped', async () => {
      for (const [what, make] of candidate.halfMade) {
        next();
        await make(spec);
        const made = await create();
        expect([what, made]).toMatchObject([what, { state: 'running', runner: spec.runner }]);
        expect([what, await create(candidate.open(manager))]).toMatchObject([what, { id: made.id }]);
        expect([what, ...(await backend.list(never))]).toHaveLength(2);
        await backend.delete(spec.runner, never);
        expect([what, ...(await candidate.leftovers([manager]))]).toEqual([what]);
      }
    });

    it('deletes what its maker left, wherever it stopped', async () => {
      for (const [what, make] of candidate.halfMade) {
        next();
        await make(spec);
        await backend.delete(spec.runner, never);
        expect([what, ...(await candidate.leftovers([manager]))]).toEqual([what]);
      }
    });

    it('ends a create that is cancelled; the next one finishes it', async () => {
      for (const ms of [0, 5, 40, 120]) {
        next();
        const abort = ms === 0 ? AbortSignal.abort(new Error('cancelled')) : AbortSignal.timeout(ms);
        const outcome = await create(backend, abort).then(
          () => 'made',
          (error: unknown) => (abort.aborted ? 'cancelled' : error),
        );
        expect(ms === 0 ? ['cancelled'] : ['made', 'cancelled']).toContain(outcome);
        const made = await create();
        expect(made.state).toBe('running');
        expect((await backend.list(never)).map(({ runner }) => runner)).toEqual([spec.runner]);
        await backend.delete(spec.runner, never);
      }
    });

    it('finishes what a process killed in the middle of a create left', async () => {
      for (const ms of candidate.killAfterMs) {
        next();
        await createAndDie(candidate.config, spec, ms);
        const made = await create();
        expect(made.state).toBe('running');
        expect((await backend.list(never)).map(({ runner }) => runner)).toEqual([spec.runner]);
        await backend.delete(spec.runner, never);
        expect([`killed after ${ms} ms`, ...(await candidate.leftovers([manager]))]).toHaveLength(1);
      }
    });

    it('adopts instances of a process that is gone: describes, watches, deletes them', async () => {
      next();
      await createAndDie(candidate.config, spec, undefined);
      const made = await create();
      expect(made.state).toBe('running');
      const watcher = watch(backend);
      await candidate.kill(made);
      expect(await watcher.deathOf(spec.runner)).toMatchObject({ id: made.id, state: 'dead' });
    });
  });
}

/**
 * Makes an instance in a process of its own, and kills that process with SIGKILL.
 *
 * @param afterMs after it began to; undefined: after it has finished
 */
async function createAndDie(config: object, spec: InstanceSpec, afterMs: number | undefined): Promise<void> {
  const main = fileURLToPath(new URL('create-main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, JSON.stringify({ config, spec, bootstrap: BOOTSTRAP })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  const saidLine = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => void (lines.join('').includes(text) && resolve());
      child.stdout.on('data', look);
      void exited.then(() => reject(new Error(`it ended without saying ${text}`)));
      look();
    });
  child.stdout.on('data', (chunk: Buffer) => lines.push(chunk.toString()));
  await saidLine('ready');
  child.stdin.write('go\n');
  if (afterMs === undefined) await saidLine('made');
  else await new Promise((resolve) => setTimeout(resolve, afterMs));
  child.kill('SIGKILL');
  await exited;
}
