import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DISPATCHER_EVENTS, dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import { healthReply } from '../../contracts/messages/health.ts';
import { addRepository } from '../../services/simulator/world.ts';
import { aJob } from '../support/a-job.ts';
import { Cluster } from '../support/cluster.ts';
import { runBaton } from '../support/run-baton.ts';
import { SimControl } from '../support/simulator-control.ts';
import { until } from '../support/until.ts';

/** Jobs for which no runner must start, or only now and then, and what `baton explain` says of them. */

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    copies: 1,
    backends: ['local'],
    config: `
health_check_interval: 2s
backends:
  local: { type: local, root: ROOT/local }
groups:
  # First, so that it gets the jobs without labels.
  - { name: strict, organization: acme, labels: [strict], backend: local, time_to_start: 10s, runner: { directory: ROOT/runner } }
  - { name: linux, organization: acme, labels: [linux], backend: local, max: 4, runner: { directory: ROOT/runner } }
  - name: inner
    organization: acme
    labels: [inner]
    backend: local
    allow_public_repositories: false
    runner: { directory: ROOT/runner }
`,
  });
  sim = new SimControl(cluster.sim.address);
  await sim.settings({ protectedEnvironments: ['production'] });
});
afterAll(async () => {
  await cluster?.stop();
});

const HOUR_MS = 3_600_000;
const MONTH_MS = 30 * 24 * HOUR_MS;

/** The next webhook with each of these actions gets lost, and GitHub doesn't know that. */
async function loseWebhooks(...actions: string[]): Promise<void> {
  await sim.faults({ lossIsRecorded: false });
  for (const action of actions) await sim.faultOnce({ fault: 'lose', action });
}

/** A job about which no webhook arrives at first. @returns its id */
async function createWithoutWebhooks(order: Parameters<SimControl['jobs']>[0]): Promise<number> {
  await loseWebhooks('queued', ...(order.environment === undefined ? [] : ['waiting']));
  const [job = 0] = await sim.jobs(order);
  return job;
}

async function explain(...args: string[]): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await runBaton(cluster, 'observer', ['explain', ...args]);
  return { code, output: stdout + stderr };
}

const toAddress = (job: number, repository = 'acme/hello'): string =>
  `${cluster.sim.address}/${repository}/actions/runs/1/job/${job}`;

/** One check, which began after this call. */
async function checkHealth(group: string) {
  const { stdout } = await runBaton(cluster, 'observer', ['health', group, '--json']);
  const reply = healthReply.parse(JSON.parse(stdout));
  if (!reply.ok) throw new Error(reply.message);
  return reply.report;
}

/** Names of all runners that the group ever had. */
async function listRunners(group: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { workflowId } of cluster.client.workflow.list({
    query: `BatonGroup = '${group}' AND WorkflowType = 'runner'`,
  })) {
    names.push(workflowId);
  }
  return names;
}

describe('a job that only looks as if it waited', () => {
  it('gets no runner where it is in a run of a month ago, and is not found as lost', async () => {
    const job = await createWithoutWebhooks({ labels: ['linux'] });
    await sim.abandon(job, { ageMs: MONTH_MS });
    for (let check = 0; check < 2; check++) expect(await checkHealth('linux')).toMatchObject({ found: 0 });
    expect(await cluster.dispatcher('linux')).toMatchObject({ waiting: 0, ready: 0, busy: 0 });
    expect(await listRunners('linux')).toEqual([]);
  });

  it('is no demand any more once its run is over, and `baton explain` says why', async () => {
    const [job = 0] = await sim.jobs({ labels: ['linux'] });
    await sim.abandon(job, { runIsOver: true });
    await until(async () => expect(await cluster.dispatcher('linux')).toMatchObject({ waiting: 0, ready: 1 }));
    const { output } = await explain(toAddress(job));
    expect(output).toContain('the forge says: its run is over, so that it waits for nothing, whatever its page shows');
    expect(output).toContain('linux: it is completed');
  });

  it('is no demand where it is older than GitHub lets a job wait, and `baton explain` says so', async () => {
    const job = aJob('queued', 4711, { at: new Date(Date.now() - 50 * HOUR_MS).toISOString() });
    await cluster.client.workflow
      .getHandle(dispatcherWorkflowId('inner'))
      .signal(DISPATCHER_EVENTS, [{ type: 'job', job }]);
    await until(async () => {
      expect((await explain('4711')).output).toMatch(/inner: it has waited for 2d.*longer than GitHub lets a job wait/);
    });
    expect(await listRunners('inner')).toEqual([]);
  });
});

describe('a job that an environment holds', () => {
  it('gets its runner after its approval, also where the webhook about that was lost', async () => {
    const [job = 0] = await sim.jobs({ labels: ['linux'], environment: 'production' });
    await until(async () => expect((await explain(String(job))).output).toMatch(/linux: it waits.* for the approval/));
    await loseWebhooks('queued');
    await sim.approve(job);
    expect(await sim.untilCompleted([job])).toMatchObject([{ conclusion: 'success' }]);
  });

  it('is explained truly where no webhook about it arrived and its repository is private', async () => {
    addRepository(cluster.sim.sim, 'acme/secret');
    await sim.setPrivate('acme/secret', true);
    const held = { labels: ['inner'], environment: 'production' };
    const [secret, open] = [
      await createWithoutWebhooks({ ...held, repository: 'acme/secret' }),
      await createWithoutWebhooks(held),
    ];
    const { code, output } = await explain(toAddress(secret, 'acme/secret'));
    expect(output).toMatch(
      /job of acme\/secret .*source: the forge[^]*group inner takes it[^]*the forge says: waiting/,
    );
    expect(code).toBe(0);
    expect((await explain(toAddress(open))).output).toContain('- inner serves no public repositories');
    expect((await explain(String(secret))).output).toContain('unknown job: no webhook received');
  });
});

describe('a job that asks for another runner group by its name', () => {
  it('gets runners ever more slowly, which `baton explain` and `baton status` say', async () => {
    const run = await sim.push('jobs: { lost: { runs-on: { group: elsewhere }, steps: [{ run: "true" }] } }');
    const job = await until(async () => {
      const found = (await sim.allJobs()).find(({ runId }) => runId === run);
      return found?.id ?? false;
    });
    // Two runners come online and leave, and perhaps more that came online too late.
    await until(async () => expect((await cluster.dispatcher('strict')).passedOver).toMatchObject({ jobs: 1 }), {
      timeoutMs: 200_000,
    });
    const { output } = await explain(String(job));
    expect(output).toMatch(
      /strict: it waits.*idle runners came and went without getting it, 2 times: the next starts at 2/,
    );
    expect(output).toContain('check that the access of the runner group includes its repository');
    const { stdout } = await runBaton(cluster, 'observer', ['status']);
    expect(stdout).toContain('1 of the waiting jobs was passed over by idle runners');
    expect(await cluster.dispatcher('strict')).toMatchObject({ waiting: 1, ready: 0, busy: 0 });
    await sim.cancel(job);
    await until(async () => expect(await cluster.dispatcher('strict')).toMatchObject({ waiting: 0, passedOver: null }));
  }, 300_000);
});
