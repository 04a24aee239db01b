import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { healthScheduleId } from '../../contracts/workflows/health.ts';
import { runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import { createRunnerName } from '../../contracts/workflows/runner-name.ts';
import { healthReply } from '../../contracts/messages/health.ts';
import { registerRunner } from '../../services/simulator/jobs/runners.ts';
import { recordHistory } from '../support/histories.ts';
import { Cluster } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { killInstanceIn } from '../support/instances.ts';
import { findClusterLeftovers } from '../support/leftovers.ts';
import { until } from '../support/until.ts';

/** What nobody told of, and what lost its counterpart: the health checks make it good, every two seconds here. */
const CLI = fileURLToPath(new URL('../../services/cli/main.ts', import.meta.url));

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    copies: 1,
    backends: ['local', 'deaf'],
    simulator: { timing: { sweepMs: 50 } },
    config: `
health_check_interval: 2s
backends:
  local: { type: local, root: ROOT/local }
  # Instances in which nothing ever comes up.
  deaf: { type: local, root: ROOT/local, command: [sleep, '1000'] }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: local, max: 4, runner: { directory: ROOT/runner } }
  - { name: warm, organization: acme, labels: [warm], backend: local, min: 1, max: 1, runner: { directory: ROOT/runner } }
  - { name: dead, organization: acme, labels: [dead], backend: deaf, max: 1 }
  - { name: owned, organization: acme, repository: hello, labels: [owned], backend: local, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  if (process.env['BATON_RECORD'] !== undefined) await record();
  await cluster?.stop();
});

/** Histories of a check that found nothing and of one that repaired something, for the replay test. */
async function record(): Promise<void> {
  const told = new Set<string>();
  const query = `WorkflowType = 'healthCheck' AND ExecutionStatus = 'Completed'`;
  for await (const execution of cluster.client.workflow.list({ query })) {
    const result: unknown = await cluster.client.workflow.getHandle(execution.workflowId, execution.runId).result();
    const { repaired } = z.object({ repaired: z.array(z.string()) }).parse(result);
    const name = `healthCheck-${repaired.length === 0 ? 'quiet' : 'mends'}`;
    if (told.has(name)) continue;
    told.add(name);
    await recordHistory(cluster.client, execution, name);
  }
}
const stateOf = () => cluster.sim.sim.state;

/** The names of a group's registrations. */
function registrations(group: string): string[] {
  const names = [...stateOf().runners.values()].map(({ name }) => name);
  return names.filter((name) => name.startsWith(`${cluster.installation}-${group}-`));
}

/** The name of the group's one runner, once it is registered and connected. */
async function onlineRunner(group: string, other?: string): Promise<string> {
  return await until(() => {
    const online = [...stateOf().runners.values()].filter((runner) => runner.online);
    const found = online.find(({ name }) => name !== other && name.startsWith(`${cluster.installation}-${group}-`));
    if (found === undefined) throw new Error(`no runner of ${group} is online`);
    return found.name;
  });
}

const terminate = (group: string, runner: string): Promise<unknown> =>
  cluster.client.workflow.getHandle(runnerWorkflowId(group, runner)).terminate('a person did it');

/** `baton health GROUP --json`, as a person runs it. */
async function batonHealth(group: string): Promise<{ code: number; output: string }> {
  const env = { PATH: process.env['PATH'], BATON_NATS_CREDENTIALS: cluster.operator.credentials.observer };
  const args = [CLI, 'health', group, '--json', '--config', cluster.configFile];
  const run = promisify(execFile)(process.execPath, args, { env, cwd: cluster.dir });
  return await run.then(
    ({ stdout }) => ({ code: 0, output: stdout }),
    (error: { code: number; stdout: string }) => ({ code: error.code, output: error.stdout }),
  );
}

describe('a job gets its runner though', () => {
  it('its webhook did not arrive, as the forge knows', async () => {
    await sim.faultOnce({ fault: 'lose', action: 'queued' });
    const ids = await sim.jobs({ labels: ['linux'], run: 'true' });
    await sim.untilCompleted(ids);
    const again = cluster.sim.log.since(0, 'webhook.sent').filter((event) => event['redelivery'] === true);
    expect(again.map((event) => event['jobId'])).toContain(ids[0]);
  });

  it.each(['linux', 'owned'])('nobody knows of a webhook for it (%s)', async (label) => {
    await sim.faults({ lossIsRecorded: false });
    await sim.faultOnce({ fault: 'lose', action: 'queued' });
    const ids = await sim.jobs({ labels: [label], run: 'true' });
    const [job] = await sim.untilCompleted(ids);
    expect(job).toMatchObject({ conclusion: 'success' });
    await sim.faults({ lossIsRecorded: true });
  });
});

describe('a job cancelled unseen', () => {
  it('a waiting job of which nobody said that it was cancelled is waited for no longer', async () => {
    const [first = 0, second = 0] = await sim.jobs({ count: 2, labels: ['dead'] });
    await until(async () => expect(await cluster.dispatcher('dead')).toMatchObject({ waiting: 2, ready: 1 }));
    await sim.faults({ lossIsRecorded: false });
    await sim.faultOnce({ fault: 'lose', action: 'completed', jobId: second });
    await sim.cancel(second);
    await until(async () => expect((await cluster.dispatcher('dead')).waiting).toBe(1));
    await sim.faults({ lossIsRecorded: true });
    expect((await sim.job(first)).status).toBe('queued');
    await sim.cancel(first);
  });
});

describe('what is left of a runner whose workflow somebody terminated', () => {
  it('goes, when it is idle, and another takes its place', async () => {
    const lost = await onlineRunner('warm');
    await terminate('warm', lost);
    const next = await onlineRunner('warm', lost);
    expect(next).not.toBe(lost);
    await until(() => expect(registrations('warm')).toEqual([next]));
    await until(async () => {
      const { folders = [] } = await findClusterLeftovers(cluster);
      expect(folders.filter((name) => name.includes('-warm-'))).toEqual([next]);
    });
    expect(await cluster.dispatcher('warm')).toMatchObject({ ready: 1, busy: 0 });
  });

  it('stays, while a job runs on it', async () => {
    const [job = 0] = await sim.jobs({ labels: ['linux'], run: 'sleep 9' });
    const runner = await until(async () => {
      const { status, runner } = await sim.job(job);
      expect(status).toBe('in_progress');
      return runner ?? '';
    });
    await until(async () => expect((await cluster.dispatcher('linux')).busy).toBe(1));
    await terminate('linux', runner);
    await sim.untilCompleted([job]);
    expect(await sim.job(job)).toMatchObject({ conclusion: 'success' });
    await until(async () => {
      expect(await cluster.dispatcher('linux')).toMatchObject({ busy: 0, ready: 0 });
      const { folders = [] } = await findClusterLeftovers(cluster);
      expect(folders.filter((name) => name.includes('-linux-'))).toEqual([]);
    });
    const removed = cluster.sim.log.since(0, 'runner.removed').filter((event) => event['runner'] === runner);
    expect(removed.map((event) => event['by'])).toEqual(['ephemeral']);
  });
});

describe('the health check', () => {
  it('a group that somebody changed on the forge is as configured again', async () => {
    const group = [...(stateOf().accounts.get('acme')?.groups.values() ?? [])].find(({ name }) => name === 'linux');
    if (group === undefined) throw new Error('there is no group linux');
    Object.assign(group, { allowsPublicRepositories: false, restrictedToWorkflows: true });
    await until(() => expect(group).toMatchObject({ allowsPublicRepositories: true, restrictedToWorkflows: false }));
  });

  it('a runner whose instance is gone, unseen, ends', async () => {
    const before = await onlineRunner('warm');
    await cluster.stopService('backend-local-1');
    const folder = join(cluster.dir, 'local', cluster.installation, before);
    await killInstanceIn(folder);
    rmSync(folder, { recursive: true });
    await cluster.restartService('backend-local-1');
    await onlineRunner('warm', before);
    const closed = await cluster.client.workflow.getHandle(runnerWorkflowId('warm', before)).describe();
    expect(closed.status.name).toBe('FAILED');
  });
});

describe('of registrations', () => {
  /** One that nobody made an instance for. */
  function register(name: string): void {
    const account = stateOf().accounts.get('acme');
    const group = [...(account?.groups.values() ?? [])].find((candidate) => candidate.name === 'linux');
    if (account === undefined || group === undefined) throw new Error('there is no group linux');
    registerRunner(cluster.sim.sim, {
      name,
      scope: { account, repository: null },
      group,
      labels: ['elsewhere'],
      ephemeral: true,
    });
  }

  it('ours without a workflow are removed, another installation’s in the same group are not', async () => {
    const foreign = createRunnerName('other', 'linux', randomUUID());
    register(foreign);
    register(createRunnerName(cluster.installation, 'linux', randomUUID()));
    await until(() => expect(registrations('linux')).toEqual([]));
    expect([...stateOf().runners.values()].map(({ name }) => name)).toContain(foreign);
    const removed = cluster.sim.log.since(0, 'runner.removed').map((event) => event['runner']);
    expect(removed).not.toContain(foreign);
  });

  it('none is removed on an error, and `baton health` says what gave no answer', { timeout: 240_000 }, async () => {
    await sim.apiFault({ method: 'GET', path: '/actions/runner-groups', fault: 'status', status: 502, count: 1000 });
    const name = createRunnerName(cluster.installation, 'linux', randomUUID());
    register(name);
    const failing = await batonHealth('linux');
    expect(failing.code).toBe(1);
    expect(healthReply.parse(JSON.parse(failing.output))).toMatchObject({
      ok: true,
      report: {
        group: 'linux',
        unanswered: expect.arrayContaining([expect.stringContaining('registrations: ')]),
        repaired: [],
      },
    });
    expect(registrations('linux')).toEqual([name]);
    await sim.clearApiFaults();
    await until(() => expect(registrations('linux')).toEqual([]));
    const { code, output } = await batonHealth('linux');
    expect(code).toBe(0);
    expect(healthReply.parse(JSON.parse(output))).toMatchObject({ ok: true, report: { unanswered: [] } });
    const schedule = await cluster.client.schedule.getHandle(healthScheduleId('linux')).describe();
    expect(schedule.state.note).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+Z: /);
  });

  it('a group that is not there can’t be checked', async () => {
    const { code, output } = await batonHealth('nobody');
    expect(code).toBe(1);
    expect(healthReply.parse(JSON.parse(output))).toMatchObject({ ok: false, code: 'GROUP_UNKNOWN' });
  });
});
