import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { finishJob, startJob } from '../../../services/simulator/jobs/finish.ts';
import { listJobs, getRunState } from '../../../services/simulator/shapes/run.ts';
import { only, TestBench } from '../../support/simulator.ts';

let bench: TestBench;
beforeEach(async () => {
  bench = await TestBench.start({ timing: { sweepMs: 10 } });
});
afterEach(() => bench.dispose());

const RUNNER = { id: 7, name: 'runner-7', groupId: 1, groupName: 'Default' };
const STEPS = 'steps: [{run: "true"}]';

describe('a run of the simulator', () => {
  it('expands a matrix with include, exclude and expressions', () => {
    const jobs = bench.push(`
      name: Test
      jobs:
        test:
          runs-on: ["\${{ matrix.os }}", demo]
          strategy:
            matrix:
              os: [linux, mac]
              node: [22, 24]
              exclude: [{os: mac, node: 22}]
              include: [{os: linux, node: 24, extra: yes}, {os: bsd, node: 20}]
          ${STEPS}`);
    expect(jobs.map(({ spec }) => spec.name)).toEqual([
      'test (linux, 22)',
      'test (linux, 24, yes)',
      'test (mac, 24)',
      'test (bsd, 20)',
    ]);
    expect(jobs.map(({ spec }) => spec.labels[0])).toEqual(['linux', 'linux', 'mac', 'bsd']);
  });

  it('creates a job when the jobs that it needs have ended, and sends only `completed` for a skipped one', async () => {
    const first = only(
      bench.push(`
      jobs:
        build: {runs-on: demo, ${STEPS}}
        deploy: {runs-on: demo, needs: build, ${STEPS}}
        report: {runs-on: demo, needs: [build, deploy], if: always(), ${STEPS}}`),
    );
    startJob(bench.sim, first, RUNNER);
    finishJob(bench.sim, first, 'failure');
    await bench.sim.webhooks.idle();
    const [, deploy, report] = first.run.jobs;
    expect(deploy?.conclusion).toBe('skipped');
    expect(bench.actions(deploy)).toEqual(['completed']);
    expect(report?.status).toBe('queued');
    expect(getRunState(first.run)).toEqual({ status: 'in_progress', conclusion: null });
  });

  it('cancels the rest of a matrix when one of its jobs fails', async () => {
    const [one, two] = bench.push(`jobs: {t: {runs-on: demo, strategy: {matrix: {n: [1, 2]}}, ${STEPS}}}`);
    if (!one || !two) throw new Error('two jobs expected');
    startJob(bench.sim, one, RUNNER);
    finishJob(bench.sim, one, 'failure');
    expect(two).toMatchObject({ status: 'completed', conclusion: 'cancelled' });
  });

  it('completes with runner id 0 or null when it is cancelled before it started', async () => {
    const seen = new Set<unknown>();
    for (let round = 0; round < 20 && seen.size < 2; round++) {
      const job = bench.job(['run: "true"']);
      expect(await bench.control('POST', `/runs/${job.run.id}/cancel`)).toEqual({ cancelled: true });
      await bench.sim.webhooks.idle();
      expect(bench.actions(job)).toEqual(['queued', 'completed']);
      expect(getRunState(job.run).conclusion).toBe('cancelled');
      seen.add(bench.receiver.received.at(-1)?.body.workflow_job?.['runner_id']);
    }
    expect(seen).toEqual(new Set([0, null]));
  });

  it('creates a new attempt with new job ids when it is repeated, and sends `completed` again for the jobs that it keeps', async () => {
    const [good, bad] = bench.push(`jobs: {good: {runs-on: demo, ${STEPS}}, bad: {runs-on: demo, ${STEPS}}}`);
    if (!good || !bad) throw new Error('two jobs expected');
    for (const job of [good, bad]) startJob(bench.sim, job, RUNNER);
    finishJob(bench.sim, good, 'success');
    expect((await bench.api('POST', `/repos/octo-org/demo/actions/jobs/${bad.id}/rerun`)).status).toBe(403);
    finishJob(bench.sim, bad, 'failure');
    expect((await bench.api('POST', `/repos/octo-org/demo/actions/jobs/${bad.id}/rerun`)).status).toBe(201);
    await bench.sim.webhooks.idle();
    const [copy, again] = listJobs(good.run, 2);
    expect(copy).toMatchObject({ attempt: 2, conclusion: 'success' });
    expect(again).toMatchObject({ attempt: 2, status: 'queued', conclusion: null });
    expect([good.id, bad.id]).not.toContain(again?.id);
    expect(bench.actions(copy)).toEqual(['completed']);
    expect(bench.actions(again)).toEqual(['queued']);
  });

  it('sends `queued` twice for a job with an environment, which waits for approval where the environment is protected', async () => {
    const workflow = `jobs: {ship: {runs-on: demo, environment: production, ${STEPS}}}`;
    const open = only(bench.push(workflow));
    await bench.control('PUT', '/settings', { protectedEnvironments: ['production'] });
    const guarded = only(bench.push(workflow));
    await bench.sim.webhooks.idle();
    expect(bench.actions(open)).toEqual(['queued', 'queued']);
    expect(bench.actions(guarded)).toEqual(['queued', 'waiting']);
    await bench.control('POST', `/jobs/${guarded.id}/approve`);
    await bench.sim.webhooks.idle();
    expect(bench.actions(guarded)).toEqual(['queued', 'waiting', 'queued']);
  });

  it('is listed as queued for ever where GitHub abandoned its job, in an old run or in one that is over', async () => {
    const times = z.object({ status: z.string(), created_at: z.string(), updated_at: z.string() });
    const read = async (path: string) =>
      times.partial({ updated_at: true }).parse(await (await bench.api('GET', path)).json());
    for (const runIsOver of [false, true]) {
      const job = only(bench.push(`jobs: {old: {runs-on: demo, ${STEPS}}}`));
      await bench.control('POST', `/jobs/${job.id}/abandon`, { ageMs: 3_600_000, runIsOver });
      const run = await read(`/repos/octo-org/demo/actions/runs/${job.run.id}`);
      expect(run.status).toBe(runIsOver ? 'completed' : 'queued');
      for (const time of [run.created_at, run.updated_at ?? ''])
        expect(Date.parse(time)).toBeLessThan(Date.now() - 3_590_000);
      expect((await read(`/repos/octo-org/demo/actions/jobs/${job.id}`)).status).toBe('queued');
      expect(bench.sim.state.queue.has(job)).toBe(false);
      await bench.sim.webhooks.idle();
      expect(bench.actions(job)).toEqual(['queued']);
    }
  });

  it('is refused with the reason when the workflow file is invalid', async () => {
    const bad = 'jobs: {a: {runs-on: demo, needs: b, steps: [{run: "true"}]}}';
    await expect(bench.control('POST', '/repos/octo-org/demo/push', { workflow: bad })).rejects.toThrow('needs b');
  });
});

describe('the simulator', () => {
  it('runs many simple jobs without a runner', async () => {
    const { jobIds } = z
      .object({ jobIds: z.array(z.number()) })
      .parse(await bench.control('POST', '/jobs', { count: 300, labels: ['load'] }));
    for (const id of jobIds) {
      await bench.control('POST', `/jobs/${id}/start`, { runnerName: `r${id}` });
      await bench.control('POST', `/jobs/${id}/complete`, { conclusion: 'success' });
    }
    await bench.sim.webhooks.idle();
    expect(bench.receiver.received).toHaveLength(900);
    expect(bench.log.since(0, 'job.started')).toHaveLength(300);
  });

  it('runs as a program that logs its address, and ends on SIGTERM', async () => {
    const program = fileURLToPath(new URL('../../../services/simulator/main.ts', import.meta.url));
    const args = [program, '--repository', 'acme/hello', '--token-env', 'SIM_TOKEN'];
    const { child, exited, output } = bench.spawn(process.execPath, args, { SIM_TOKEN: 'ghp_mine' });
    await expect.poll(output).toContain('"msg":"ready"');
    const { address } = z.object({ address: z.url() }).parse(JSON.parse(output()));
    const list = `${address}/api/v3/repos/acme/hello/actions/runners`;
    expect((await fetch(list, { headers: { authorization: 'token ghp_mine' } })).status).toBe(200);
    expect((await fetch(list, { headers: { authorization: 'token ghp_simulator' } })).status).toBe(401);
    expect(await (await fetch(address)).text()).toContain('GitHub simulator');
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
  });
});
