import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { healthScheduleId } from '../../contracts/workflows/health.ts';
import { runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import { createRunnerName } from '../../contracts/workflows/runner-name.ts';
import { healthReply } from '../../contracts/messages/health.ts';
import { registerRunner, removeRunner } from '../../services/simulator/jobs/runners.ts';
import { recordHistory } from '../support/histories.ts';
import { Cluster } from '../support/cluster.ts';
import { runBaton } from '../support/run-baton.ts';
import { SimControl } from '../support/simulator-control.ts';
import { killInstanceIn } from '../support/instances.ts';
import { findClusterLeftovers } from '../support/find-leftovers.ts';
import { until } from '../support/until.ts';

/** Health checks, every two seconds here, repair what lost messages and lost counterparts leave behind. */

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    copies: 1,
    backends: ['local', 'deaf'],
    simulator: { timing: { sweepMs: 50, outliveMs: 600_000 } },
    config: `
health_check_interval: 2s
backends:
  local: { type: local, root: ROOT/local }
  # Instances that never start an agent.
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

/** Records the histories of a check that found nothing and of one that repaired something, for the replay test. */
async function record(): Promise<void> {
  const recorded = new Set<string>();
  const query = `WorkflowType = 'healthCheck' AND ExecutionStatus = 'Completed'`;
  for await (const execution of cluster.client.workflow.list({ query })) {
    const result: unknown = await cluster.client.workflow.getHandle(execution.workflowId, execution.runId).result();
    const { repaired } = z.object({ repaired: z.array(z.string()) }).parse(result);
    const name = `healthCheck-${repaired.length === 0 ? 'quiet' : 'repairs'}`;
    if (recorded.has(name)) continue;
    recorded.add(name);
    await recordHistory(cluster.client, execution, name);
  }
}
const getState = () => cluster.sim.sim.state;

/** The names of a group's registrations. */
function listRegistrations(group: string): string[] {
  const names = [...getState().runners.values()].map(({ name }) => name);
  return names.filter((name) => name.startsWith(`${cluster.installation}-${group}-`));
}

/** The name of the group's one runner, once it is registered and connected. */
async function findOnlineRunner(group: string, other?: string): Promise<string> {
  return await until(() => {
    const online = [...getState().runners.values()].filter((runner) => runner.online);
    const found = online.find(({ name }) => name !== other && name.startsWith(`${cluster.installation}-${group}-`));
    if (found === undefined) throw new Error(`no runner of ${group} is online`);
    return found.name;
  });
}

const terminateRunner = (group: string, runner: string): Promise<unknown> =>
  cluster.client.workflow.getHandle(runnerWorkflowId(group, runner)).terminate('terminated by the test');

/** Runs `baton health GROUP --json`. */
async function runHealth(group: string): Promise<{ code: number; output: string }> {
  const { code, stdout } = await runBaton(cluster, 'observer', ['health', group, '--json']);
  return { code, output: stdout };
}

describe('a job whose webhook was lost', () => {
  it('gets its runner when the forge recorded the failed delivery', async () => {
    await sim.faultOnce({ fault: 'lose', action: 'queued' });
    const ids = await sim.jobs({ labels: ['linux'], run: 'true' });
    await sim.untilCompleted(ids);
    const again = cluster.sim.log.since(0, 'webhook.sent').filter((event) => event['redelivery'] === true);
    expect(again.map((event) => event['jobId'])).toContain(ids[0]);
  });

  it.each(['linux', 'owned'])('gets its runner when the forge recorded no delivery (group %s)', async (label) => {
    await sim.faults({ lossIsRecorded: false });
    await sim.faultOnce({ fault: 'lose', action: 'queued' });
    const ids = await sim.jobs({ labels: [label], run: 'true' });
    const [job] = await sim.untilCompleted(ids);
    expect(job).toMatchObject({ conclusion: 'success' });
    await sim.faults({ lossIsRecorded: true });
  });
});

describe('a waiting job whose cancellation webhook was lost', () => {
  it('no longer counts as demand', async () => {
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

describe('a runner whose workflow was terminated', () => {
  it('is removed and replaced when it is idle', async () => {
    const lost = await findOnlineRunner('warm');
    await terminateRunner('warm', lost);
    const next = await findOnlineRunner('warm', lost);
    expect(next).not.toBe(lost);
    await until(() => expect(listRegistrations('warm')).toEqual([next]));
    await until(async () => {
      const { folders = [] } = await findClusterLeftovers(cluster);
      expect(folders.filter((name) => name.includes('-warm-'))).toEqual([next]);
    });
    expect(await cluster.dispatcher('warm')).toMatchObject({ ready: 1, busy: 0 });
  });

  it('stays until its job has ended', async () => {
    const [job = 0] = await sim.jobs({ labels: ['linux'], run: 'sleep 9' });
    const runner = await until(async () => {
      const { status, runner } = await sim.job(job);
      expect(status).toBe('in_progress');
      return runner ?? '';
    });
    await until(async () => expect((await cluster.dispatcher('linux')).busy).toBe(1));
    await terminateRunner('linux', runner);
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
  it('restores a runner group that was changed on the forge', async () => {
    const group = [...(getState().accounts.get('acme')?.groups.values() ?? [])].find(({ name }) => name === 'linux');
    if (group === undefined) throw new Error('there is no group linux');
    Object.assign(group, { allowsPublicRepositories: false, restrictedToWorkflows: true });
    await until(() => expect(group).toMatchObject({ allowsPublicRepositories: true, restrictedToWorkflows: false }));
  });

  it('ends a runner whose instance disappeared while no backend worker ran', async () => {
    const before = await findOnlineRunner('warm');
    await cluster.stopService('backend-local-1');
    const folder = join(cluster.dir, 'local', cluster.installation, before);
    await killInstanceIn(folder);
    rmSync(folder, { recursive: true });
    await cluster.restartService('backend-local-1');
    await findOnlineRunner('warm', before);
    const closed = await cluster.client.workflow.getHandle(runnerWorkflowId('warm', before)).describe();
    expect(closed.status.name).toBe('FAILED');
  });
});

describe('an idle runner whose registration was removed', () => {
  it('is replaced although its program still runs', async () => {
    const lost = await findOnlineRunner('warm');
    const registration = [...getState().runners.values()].find(({ name }) => name === lost);
    if (registration === undefined) throw new Error(`${lost} is not registered`);
    removeRunner(cluster.sim.sim, registration, 'api');
    const next = await findOnlineRunner('warm', lost);
    const ended = await cluster.client.workflow.getHandle(runnerWorkflowId('warm', lost)).describe();
    expect(ended.status.name).toBe('FAILED');
    const [job = 0] = await sim.jobs({ labels: ['warm'], run: 'true' });
    await sim.untilCompleted([job]);
    expect(await sim.job(job)).toMatchObject({ conclusion: 'success', runner: next });
  });
});

describe('a registration without a workflow', () => {
  /** Adds a registration that has no instance. */
  function addRegistration(name: string): void {
    const account = getState().accounts.get('acme');
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

  it('is removed if it is ours, and stays if it belongs to another installation in the same group', async () => {
    const foreign = createRunnerName('other', 'linux', randomUUID());
    addRegistration(foreign);
    addRegistration(createRunnerName(cluster.installation, 'linux', randomUUID()));
    await until(() => expect(listRegistrations('linux')).toEqual([]));
    expect([...getState().runners.values()].map(({ name }) => name)).toContain(foreign);
    const removed = cluster.sim.log.since(0, 'runner.removed').map((event) => event['runner']);
    expect(removed).not.toContain(foreign);
  });

  it(
    'stays while the forge answers with errors, and `baton health` names what gave no answer',
    { timeout: 240_000 },
    async () => {
      // Not 502: after an outage calls begin again only after a while.
      const path = '/orgs/acme/actions/runner';
      await sim.apiFault({ method: 'GET', path, fault: 'status', status: 403, count: 1000 });
      const name = createRunnerName(cluster.installation, 'linux', randomUUID());
      addRegistration(name);
      // A check may take over what another one was told by the forge a moment before.
      const failing = await until(async () => {
        const answer = await runHealth('linux');
        expect(healthReply.parse(JSON.parse(answer.output))).toMatchObject({
          ok: true,
          report: {
            group: 'linux',
            unanswered: expect.arrayContaining([expect.stringContaining('registrations: ')]),
            repaired: [],
          },
        });
        return answer;
      });
      expect(failing.code).toBe(1);
      expect(listRegistrations('linux')).toEqual([name]);
      await sim.clearApiFaults();
      await until(() => expect(listRegistrations('linux')).toEqual([]));
      const { code, output } = await runHealth('linux');
      expect(code).toBe(0);
      expect(healthReply.parse(JSON.parse(output))).toMatchObject({ ok: true, report: { unanswered: [] } });
      const schedule = await cluster.client.schedule.getHandle(healthScheduleId('linux')).describe();
      expect(schedule.state.note).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+Z: /);
    },
  );
});

describe('baton health', () => {
  it('fails with GROUP_UNKNOWN for a group that does not exist', async () => {
    const { code, output } = await runHealth('no-such-group');
    expect(code).toBe(1);
    expect(healthReply.parse(JSON.parse(output))).toMatchObject({ ok: false, code: 'GROUP_UNKNOWN' });
  });
});
