import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildRunnerImage } from '../../support/containers.ts';
import { startEngine, type TestEngine } from '../../support/engine.ts';
import { until } from '../../support/until.ts';
import { DelegationView } from './delegation-view.ts';
import { LABEL, startDelegationWorld, type DelegationWorld } from './world.ts';

/** A restart of the Docker engine, with one delegated job in a container and another that waits for one. */

let engine: TestEngine | undefined;
let absent = '';
let world: DelegationWorld;

beforeAll(async () => {
  const started = await startEngine();
  if ('absent' in started) {
    absent = started.absent;
    return;
  }
  engine = started;
  world = await startDelegationWorld({
    docker: true,
    socket: engine.socket,
    simulator: { timing: { sweepMs: 50, lostMs: 20_000 } },
  });
  await buildRunnerImage(join(world.dir, 'runner'), engine.docker);
}, 300_000);
afterAll(async () => {
  await world?.cluster.stop();
  await engine?.stop();
}, 240_000);

describe('delegation to a Docker engine', () => {
  it(
    'a restart of the engine fails the job that runs in it, and a waiting job shows the problem and runs afterwards',
    { timeout: 400_000 },
    async (context) => {
      context.skip(engine === undefined, absent);
      const view = new DelegationView(world);
      const delegate = async (run: string): Promise<{ id: string; runId: number }> => {
        const [job = 0] = await world.sim.jobs({ labels: [LABEL], run });
        const taken = await world.take(job, 'proxy-a');
        return { id: await world.handOver(taken, 'proxy-a'), runId: taken.runId };
      };
      const begun = await delegate('sleep 600');
      await until(async () => expect(await world.get(begun.id, 'proxy-a')).toMatchObject({ status: 'running' }));

      await engine?.halt();
      const waiting = await delegate('echo really ran');
      // If the lost runner still counted as connected, the re-run has been requested already.
      await until(async () => {
        expect(await view.headline(waiting.id)).toMatch(
          /queued: (run again; )?waiting for an ephemeral runner: runner\/ephemeral\/\S+, attempt \d+: .*(ENOENT|ECONNREFUSED)/,
        );
      });
      await engine?.resume();

      expect(await view.result(waiting.id)).toMatchObject({ status: 'completed', conclusion: 'success' });
      expect((await world.findAttempts(waiting.runId)).map(({ conclusion }) => conclusion)).toEqual([
        'failure',
        'success',
      ]);
      expect(await view.result(begun.id)).toMatchObject({ status: 'failed' });
      expect(await view.headline(begun.id)).toMatch(/failed: ran on \S+: (failure|cancelled)/);
      expect(await world.findAttempts(begun.runId), 'a job that has started is not run again').toHaveLength(2);
    },
  );
});
