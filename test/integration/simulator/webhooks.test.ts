import { Webhooks } from '@octokit/webhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { jobPayload } from '../../fixtures/payload.ts';
import { finishJob, startJob } from '../../../services/simulator/jobs/finish.ts';
import { createRandom } from '../../../services/simulator/random.ts';
import type { Job } from '../../../services/simulator/state.ts';
import { listIn, only, SECRET, TestBench } from '../../support/simulator.ts';
import { WebhookFaults, NO_FAULTS } from '../../../services/simulator/webhooks/faults.ts';

let bench: TestBench;
beforeEach(async () => {
  bench = await TestBench.start();
});
afterEach(() => bench.dispose());

const RUNNER = { id: 7, name: 'runner-7', groupId: 1, groupName: 'Default' };

/** Runs a job from queued to completed, without a runner. */
async function runWholeJob(): Promise<Job> {
  const job = bench.job(['run: "true"']);
  startJob(bench.sim, job, RUNNER);
  finishJob(bench.sim, job, 'success');
  await bench.sim.webhooks.idle();
  return job;
}

const guids = (): (string | string[] | undefined)[] =>
  bench.receiver.received.map(({ headers }) => headers['x-github-delivery']);

function decideFates(seed: number): string[] {
  const faults = new WebhookFaults(createRandom(seed));
  faults.rates = { ...NO_FAULTS, loss: 0.2, duplication: 0.2, delay: 0.2, reorder: 0.2 };
  const delivery = { event: 'workflow_job', action: 'queued', jobId: 1 };
  return Array.from({ length: 200 }, () => faults.decide(delivery).kind);
}

const listed = z.object({ id: z.number(), guid: z.string(), redelivery: z.boolean(), status: z.string() });

describe('a webhook of the simulator', () => {
  it('is signed over its raw bytes and has all fields of GitHub’s, with null where GitHub sends null', async () => {
    const job = await runWholeJob();
    expect(bench.actions(job)).toEqual(['queued', 'in_progress', 'completed']);
    const webhooks = new Webhooks({ secret: SECRET });
    for (const { headers, raw, body } of bench.receiver.received) {
      expect(headers['x-github-event']).toBe('workflow_job');
      expect(headers['x-github-delivery']).toMatch(/^[0-9a-f]{8}-/);
      expect(await webhooks.verify(raw, String(headers['x-hub-signature-256']))).toBe(true);
      expect(await webhooks.verify(`${raw} `, String(headers['x-hub-signature-256']))).toBe(false);
      const captured = jobPayload(body.action ?? '');
      expect(Object.keys(body.workflow_job ?? {})).toEqual(expect.arrayContaining(Object.keys(captured.workflow_job)));
      expect(Object.keys(body)).toEqual(expect.arrayContaining(['action', 'organization', 'repository', 'sender']));
    }
    const [queued, started] = bench.receiver.received.map(({ body }) => body.workflow_job);
    expect(queued).toMatchObject({ runner_id: null, runner_name: null, runner_group_name: null, conclusion: null });
    expect(started).toMatchObject({ runner_id: 7, runner_name: 'runner-7', status: 'in_progress' });
  });

  it('is recorded as failed and not sent again when it is refused or not answered in time', async () => {
    bench.receiver.answer = 503;
    bench.job(['run: "true"']);
    await bench.sim.webhooks.idle();
    bench.receiver.answer = 'hang';
    bench.sim.timing.webhookTimeoutMs = 200;
    bench.job(['run: "true"']);
    await bench.sim.webhooks.idle();
    expect([...bench.sim.state.deliveries.values()].map(({ statusCode, status }) => [statusCode, status])).toEqual([
      [503, 'Invalid HTTP Response: 503'],
      [504, 'timed out'],
    ]);
    expect(bench.receiver.received).toHaveLength(2);
  });
});

describe('faults of webhooks', () => {
  it('lose exactly the next `queued`, which can be redelivered with its GUID', async () => {
    await bench.control('POST', '/faults/once', { fault: 'lose', action: 'queued' });
    const job = await runWholeJob();
    expect(bench.actions(job)).toEqual(['in_progress', 'completed']);
    const hook = only([...bench.sim.state.hooks.values()]);
    const path = `/orgs/octo-org/hooks/${hook.id}/deliveries`;
    const failed = await bench.api('GET', `${path}?status=failure`);
    const [lost] = await listIn(failed, listed);
    expect(lost).toMatchObject({ redelivery: false, status: 'timed out' });
    expect((await bench.api('POST', `${path}/${lost?.id}/attempts`)).status).toBe(202);
    await bench.sim.webhooks.idle();
    expect(bench.actions(job)).toEqual(['in_progress', 'completed', 'queued']);
    expect(guids().at(-1)).toBe(lost?.guid);
    const [newest] = await listIn(await bench.api('GET', path), listed);
    expect(newest).toMatchObject({ guid: lost?.guid, redelivery: true });
  });

  it('duplicate the next webhook with the same GUID', async () => {
    await bench.control('POST', '/faults/once', { fault: 'duplicate' });
    const job = await runWholeJob();
    expect(bench.actions(job)).toEqual(['queued', 'queued', 'in_progress', 'completed']);
    expect(new Set(guids()).size).toBe(3);
  });

  it('hold webhooks until they are released, in reverse order', async () => {
    await bench.control('POST', '/hold');
    const job = await runWholeJob();
    expect(bench.actions(job)).toEqual([]);
    expect(await bench.control('POST', '/release', { order: 'reverse' })).toEqual({ released: 3 });
    await bench.sim.webhooks.idle();
    expect(bench.actions(job)).toEqual(['completed', 'in_progress', 'queued']);
  });

  it('reorder and delay webhooks by rate', async () => {
    // Their order is that in which they are sent.
    bench.sim.limits.webhookConcurrency = 1;
    await bench.control('PUT', '/faults', { reorder: 1 });
    const first = bench.job(['run: "true"']);
    await bench.control('PUT', '/faults', { reorder: 0 });
    const second = bench.job(['run: "true"']);
    await bench.sim.webhooks.idle();
    expect(bench.receiver.received.map(({ body }) => body.workflow_job?.id)).toEqual([second.id, first.id]);
    await bench.control('PUT', '/faults', { delay: 1, delayMinMs: 50, delayMaxMs: 60 });
    const before = Date.now();
    bench.job(['run: "true"']);
    await bench.sim.webhooks.idle();
    expect(Date.now() - before).toBeGreaterThanOrEqual(45);
  });

  it('are the same for the same seed', () => {
    expect(decideFates(3)).toEqual(decideFates(3));
    expect(decideFates(3)).not.toEqual(decideFates(4));
    expect(new Set(decideFates(3))).toEqual(new Set(['send', 'lose', 'duplicate', 'delay', 'reorder']));
  });
});
