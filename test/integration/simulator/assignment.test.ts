import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SERVER_URL_HEADER } from '../../../services/simulator/api/runner-routes.ts';
import { only, TestBench } from '../../support/simulator.ts';

let bench: TestBench;
beforeEach(async () => {
  bench = await TestBench.start({ timing: { sweepMs: 10, busyLagMs: 0 } });
});
afterEach(() => bench.dispose());

const group = z.object({ id: z.number() });

describe('a job of the simulator', () => {
  it('goes to any online runner with its labels, not to a particular one', async () => {
    const pairings = new Set<string>();
    for (let round = 0; round < 12 && pairings.size < 2; round++) {
      const [a, b] = [await bench.online(`a${round}`), await bench.online(`b${round}`)];
      const [first, second] = [bench.job(['run: "true"']), bench.job(['run: "true"'])];
      const [toA, toB] = await Promise.all([a.client.nextJob(a.stop), b.client.nextJob(b.stop)]);
      expect(new Set([toA, toB])).toEqual(new Set([first.id, second.id]));
      pairings.add(toA === first.id ? 'straight' : 'crossed');
      await bench.api('DELETE', `/orgs/octo-org/actions/runners/${a.id}`);
      await bench.api('DELETE', `/orgs/octo-org/actions/runners/${b.id}`);
      for (const job of [first, second]) await bench.control('POST', `/jobs/${job.id}/cancel`);
    }
    expect(pairings).toEqual(new Set(['straight', 'crossed']));
  });

  it('needs a runner with all its labels, in any case; self-hosted is implied', async () => {
    await bench.online('small', { labels: ['demo', 'small'] });
    const pushJob = (labels: string) => only(bench.push(`jobs: {build: {runs-on: ${labels}, steps: [{run: "true"}]}}`));
    const large = pushJob('[demo, large]');
    const small = pushJob('[self-hosted, DEMO, Small]');
    await bench.log.waitFor('an assignment', (event) => event.type === 'job.assigned');
    expect(small.assignedTo?.name).toBe('small');
    expect(large.assignedTo).toBeNull();
  });

  it('goes only to the runner group that it names', async () => {
    const answer = await bench.api('POST', '/orgs/octo-org/actions/runner-groups', {
      name: 'big',
      allows_public_repositories: true,
    });
    const { id } = group.parse(await answer.json());
    await bench.online('other');
    const push = (name: string) =>
      only(bench.push(`jobs: {build: {runs-on: {group: ${name}}, steps: [{run: "true"}]}}`));
    const [lost, big] = [push('elsewhere'), push('big')];
    await bench.online('one', { group: id });
    const { runner } = await bench.log.waitFor('an assignment', (event) => event.type === 'job.assigned');
    expect(runner).toBe('one');
    expect(big.assignedTo?.name).toBe('one');
    expect(lost.assignedTo).toBeNull();
  });

  it('does not go to a runner group that its repository or workflow may not use', async () => {
    const groups = '/orgs/octo-org/actions/runner-groups';
    const make = async (settings: object): Promise<number> =>
      group.parse(await (await bench.api('POST', groups, settings)).json()).id;
    const closed = [
      { name: 'selected', visibility: 'selected', allows_public_repositories: true },
      { name: 'not public', allows_public_repositories: false },
      {
        name: 'other',
        allows_public_repositories: true,
        restricted_to_workflows: true,
        selected_workflows: ['x@main'],
      },
    ];
    for (const settings of closed) await bench.online(settings.name, { group: await make(settings) });
    const workflow = `octo-org/demo/.github/workflows/ci.yml@main`;
    const open = { name: 'open', allows_public_repositories: true, restricted_to_workflows: true };
    await bench.online('open', { group: await make({ ...open, selected_workflows: [workflow] }) });
    bench.job(['run: "true"']);
    bench.job(['run: "true"']);
    const { runner } = await bench.log.waitFor('an assignment', (event) => event.type === 'job.assigned');
    expect(runner).toBe('open');
    expect(bench.sim.state.queue.size).toBe(1);
  });

  it('does not go to a runner of another repository', async () => {
    await bench.control('POST', '/repos/octo-org/second/push', {
      workflow: 'jobs: {build: {runs-on: demo, steps: [{run: "true"}]}}',
    });
    await bench.online('mine', { scope: '/repos/octo-org/demo' });
    const job = bench.job(['run: "true"']);
    await bench.log.waitFor('an assignment', (event) => event.type === 'job.assigned');
    expect(job.assignedTo?.name).toBe('mine');
    expect(bench.sim.state.queue.size).toBe(1);
  });

  it('is queued again, without a webhook, when its runner does not start it', async () => {
    bench.sim.timing.pickupMs = 50;
    const slow = await bench.online('slow');
    const job = bench.job(['run: "true"']);
    expect(await slow.client.nextJob(slow.stop)).toBe(job.id);
    await bench.log.waitFor('the job to wait again', (event) => event.type === 'job.requeued');
    await bench.log.waitFor('it to be handed out again', ({ type, seq }) => type === 'job.assigned' && seq > 5);
    await bench.sim.webhooks.idle();
    bench.sim.timing.pickupMs = 60_000;
    expect(bench.actions(job)).toEqual(['queued']);
    expect(await slow.client.acquire(job.id, slow.stop)).toMatchObject({ jobId: job.id });
  });

  it('fails after it was queued for too long', async () => {
    bench.sim.timing.queueMs = 30;
    const job = await bench.completed(bench.job(['run: "true"']));
    expect(job).toMatchObject({ conclusion: 'failure', runner: null });
    expect(bench.actions(job)).toEqual(['queued', 'completed']);
  });

  it('fails when its runner vanishes, and the registration stays, offline', async () => {
    Object.assign(bench.sim.timing, { lostMs: 60, offlineAfterMs: 30, pollMs: 0 });
    const { client, id, stop } = await bench.online('doomed');
    const job = bench.job(['run: "true"']);
    await client.nextJob(stop);
    await client.acquire(job.id, stop);
    await bench.completed(job);
    expect(job.conclusion).toBe('failure');
    expect(job.annotations[0]?.message).toContain('lost communication');
    const answer = await bench.api('GET', `/orgs/octo-org/actions/runners/${id}`);
    expect(await answer.json()).toMatchObject({ status: 'offline', busy: false });
    await expect(client.complete(job.id, { conclusion: 'success', annotations: [], summary: '' })).rejects.toThrow(
      '409',
    );
  });
});

describe('a registration of the simulator', () => {
  it('is busy and cannot be deleted (422) while its job runs, and is removed when its only job is done', async () => {
    const { client, id, stop } = await bench.online('one-job');
    const job = bench.job(['run: "true"']);
    await client.nextJob(stop);
    await client.acquire(job.id, stop);
    const path = `/orgs/octo-org/actions/runners/${id}`;
    expect(await (await bench.api('GET', path)).json()).toMatchObject({ busy: true, status: 'online' });
    expect((await bench.api('DELETE', path)).status).toBe(422);
    await client.complete(job.id, { conclusion: 'success', annotations: [], summary: '' });
    expect((await bench.api('GET', path)).status).toBe(404);
    expect(bench.log.since(0, 'runner.removed')).toMatchObject([{ by: 'ephemeral', wasBusy: false }]);
    await expect(client.nextJob(stop)).rejects.toThrow('401');
  });

  it('can be deleted while its job runs, as long as `busy` lags', async () => {
    bench.sim.timing.busyLagMs = 60_000;
    const { client, id, stop } = await bench.online('lagging');
    const job = bench.job(['run: "true"']);
    await client.nextJob(stop);
    await client.acquire(job.id, stop);
    const path = `/orgs/octo-org/actions/runners/${id}`;
    expect(await (await bench.api('GET', path)).json()).toMatchObject({ busy: false });
    expect((await bench.api('DELETE', path)).status).toBe(204);
    // Tests of an installation look for this event.
    expect(bench.log.since(0, 'runner.removed')).toMatchObject([{ by: 'api', wasBusy: true }]);
  });

  it('stays, offline, and blocks its name when its runner never connects', async () => {
    const { id } = await bench.register('never');
    const answer = await bench.api('GET', '/orgs/octo-org/actions/runners?name=never');
    expect(await answer.json()).toMatchObject({ total_count: 1, runners: [{ id, status: 'offline', os: 'unknown' }] });
    await expect(bench.register('never')).rejects.toThrow('409');
  });

  it('is removed when its runner was connected once, but not for a day', async () => {
    const { client } = await bench.online('once');
    await client.closeSession();
    await bench.register('never');
    bench.sim.timing.registrationMs = 0;
    await bench.log.waitFor(
      'the removal of both',
      ({ type, runner }) => type === 'runner.removed' && runner === 'never',
    );
    expect(bench.log.since(0, 'runner.removed')).toMatchObject([
      { runner: 'once', by: 'expired' },
      { runner: 'never' },
    ]);
  });

  it('has each label once, whatever its case', async () => {
    const { id } = await bench.register('labels', { labels: ['demo', 'GPU', 'gpu', 'Demo'] });
    expect(bench.sim.state.runners.get(id)?.labels).toEqual(['demo', 'GPU']);
  });

  it('returns its job to the queue when it is deleted before the job started', async () => {
    const { client, id, stop } = await bench.online('first');
    const job = bench.job(['run: "true"']);
    await client.nextJob(stop);
    expect((await bench.api('DELETE', `/orgs/octo-org/actions/runners/${id}`)).status).toBe(204);
    const second = await bench.online('second');
    expect(await second.client.nextJob(second.stop)).toBe(job.id);
  });

  it('has the public address of the simulator, or the one that a request asks for', async () => {
    await bench.control('PUT', '/settings', { publicUrl: 'http://forge.example:8080' });
    const { jit } = await bench.register('elsewhere');
    const config: unknown = JSON.parse(Buffer.from(jit, 'base64').toString('utf8'));
    expect(config).toMatchObject({ serverUrl: 'http://forge.example:8080', runnerName: 'elsewhere' });
    expect(jit.length).toBeGreaterThan(2_000);
    const order = { name: 'asked', labels: ['demo'], runner_group_id: 1 };
    const asked = await fetch(`${bench.simulator.address}/api/v3/orgs/octo-org/actions/runners/generate-jitconfig`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer ghp_simulator',
        'content-type': 'application/json',
        [SERVER_URL_HEADER]: 'http://other.example',
      },
      body: JSON.stringify(order),
    });
    const { encoded_jit_config } = z.object({ encoded_jit_config: z.string() }).parse(await asked.json());
    expect(Buffer.from(encoded_jit_config, 'base64').toString('utf8')).toContain('http://other.example');
  });
});
