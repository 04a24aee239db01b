import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCredentialMint } from '../../activities/credentials/runner-credential.ts';
import { connectBus, decode, encode, type Bus } from '../../contracts/lib/nats.ts';
import { registrationReply, type RegistrationReply } from '../../contracts/messages/registration.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import { Cluster } from '../support/cluster.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { SimControl } from '../support/simulator-control.ts';
import { until } from '../support/until.ts';

/** Registrations with two orchestrators, while the forge fails, is slow, or loses its answers. */
const GENERATE = 'generate-jitconfig';
/** Enough for an outage. After ten, as the registrar's own test has them, the next call is two minutes later. */
const FAILURES = 6;

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    backends: ['local'],
    simulator: { timing: { sweepMs: 50 } },
    config: `
# Its calls are not part of a job's course.
health_check_interval: 1h
backends:
  local: { type: local, root: ROOT/local }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: local, max: 4, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  await cluster?.stop();
});

interface Call {
  method: string;
  path: string;
  status: number;
}

/** What the forge has logged so far: its length, to look only at what comes after. */
const mark = (): number => cluster.sim.log.since().length;

const listCalls = (since: number): Call[] =>
  cluster.sim.log.since(since, 'api.call').map((call) => ({
    method: String(call['method']),
    path: String(call['path']),
    status: Number(call['status']),
  }));

/** GitHub's points: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api */
const countPoints = (calls: readonly Call[]): number =>
  calls.reduce((sum, { method }) => sum + (method === 'GET' || method === 'HEAD' ? 1 : 5), 0);

const listGenerated = (since: number): Call[] => listCalls(since).filter(({ path }) => path.endsWith(GENERATE));
const countFailed = async (): Promise<number> => (await cluster.runners('Failed')).length;

/** Runs one job and waits until nothing of its runner is left. */
async function runJob(): Promise<void> {
  const jobs = await sim.untilCompleted(await sim.jobs({ labels: ['linux'], run: 'true' }));
  expect(jobs.map(({ conclusion }) => conclusion)).toEqual(['success']);
  await expectNothingLeft(cluster);
}

/** Asks as the agent of that runner does; any of the orchestrators answers. */
async function ask(bus: Bus, runner: string, attempt: number): Promise<RegistrationReply> {
  const request = encode({ version: 1, runner, agentVersion: 'test', attempt, waitMs: 30_000 });
  const { data } = await bus.request(subjects.register(runner), request, { timeout: 30_000 });
  return registrationReply.parse(decode(data));
}

async function connectAs(runner: string): Promise<Bus> {
  const mint = createCredentialMint(cluster.operator.runnerAccountPublicKey, cluster.operator.runnerSigningKeySeed);
  const expiresAt = new Date(Date.now() + 600_000).toISOString();
  const credentials = await mint({ runner, expiresAt });
  return await connectBus({ url: cluster.nats.url, name: 'test', credentials });
}

describe('the registration of a runner', () => {
  it('costs a job five points in all, six if a webhook is late, and nothing is left on the forge', async () => {
    // The first job of each orchestrator also looks up the runner group.
    await runJob();
    await runJob();
    const before = mark();
    const jobs = 3;
    for (let job = 0; job < jobs; job++) await runJob();
    const calls = listCalls(before).filter(({ path }) => !path.includes('/actions/runner-groups'));
    expect(calls.map(({ status }) => status)).not.toContain(409);
    expect(calls.filter(({ path }) => path.endsWith(GENERATE))).toHaveLength(jobs);
    // Five each; one more, for a look, where the webhook of a completed job is late.
    expect(countPoints(calls)).toBeLessThanOrEqual(6 * jobs);
    console.log(`points of ${jobs} jobs: ${countPoints(calls)}`);
  });

  it('is made once when its answer gets lost, and leaves none behind', async () => {
    const before = mark();
    await sim.apiFault({ method: 'POST', path: GENERATE, fault: 'lost' });
    await runJob();
    const { log } = cluster.sim;
    const registered = log.since(before, 'runner.registered').map(({ runnerId }) => runnerId);
    const removed = log
      .since(before, 'runner.removed')
      .map(({ runnerId, by, everOnline }) => ({ runnerId, by, everOnline }));
    expect(registered).toHaveLength(2);
    expect(removed).toEqual([
      { runnerId: registered[0], by: 'api', everOnline: false },
      { runnerId: registered[1], by: 'ephemeral', everOnline: true },
    ]);
    // The simulator does not always log the call whose answer it lost.
    const statuses = listGenerated(before).map(({ status }) => status);
    expect(statuses.filter((status) => status !== 0)).toEqual([409, 201]);
  });

  it('is asked for once although its agent asks both orchestrators while the first call is under way', async () => {
    const before = mark();
    await sim.apiFault({ method: 'POST', path: GENERATE, fault: 'slow', delayMs: 10_000 });
    const ids = await sim.jobs({ labels: ['linux'], run: 'true' });
    await until(async () => expect(await sim.pendingApiFaults()).toBe(0));
    const [id = ''] = await until(async () => {
      const running = await cluster.runners('Running');
      expect(running).toHaveLength(1);
      return running;
    });
    const runner = id.split('/').at(-1) ?? '';
    const bus = await connectAs(runner);
    // Whatever process gets them: those of the first one join its call.
    const replies = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(bus, runner, index + 1)));
    const codes = replies.map((reply) => (reply.ok ? 'registered' : reply.code));
    expect(new Set(codes)).toEqual(new Set(['registered', 'REGISTRATION_DELAYED']));
    expect(new Set(replies.map((reply) => (reply.ok ? reply.jitConfig : ''))).size).toBe(2);
    expect(listGenerated(before).map(({ status }) => status)).toEqual([201]);
    const jobs = await sim.untilCompleted(ids);
    expect(jobs.map(({ conclusion }) => conclusion)).toEqual(['success']);
    await bus.close();
    await expectNothingLeft(cluster);
  });

  it('stays when its agent’s credential asks for another one while it is online', async () => {
    const ids = await sim.jobs({ labels: ['linux'], run: 'sleep 3' });
    const runner = await until(async () => {
      const { status, runner } = await sim.job(ids[0] ?? 0);
      expect(status).toBe('in_progress');
      return runner ?? '';
    });
    const bus = await connectAs(runner);
    const before = mark();
    const replies = await Promise.all(Array.from({ length: 6 }, (_, index) => ask(bus, runner, index + 1)));
    expect(replies.filter((reply) => reply.ok)).toEqual([]);
    expect(listCalls(before)).toEqual([]);
    const jobs = await sim.untilCompleted(ids);
    expect(jobs.map(({ conclusion }) => conclusion)).toEqual(['success']);
    await bus.close();
    await expectNothingLeft(cluster);
  });

  it('survives answers of 502: the same runner registers, and none fails', async () => {
    const before = mark();
    const failed = await countFailed();
    await sim.apiFault({ method: 'POST', path: GENERATE, fault: 'status', status: 502, count: FAILURES });
    await runJob();
    expect(listGenerated(before)).toHaveLength(FAILURES + 1);
    expect(await countFailed()).toBe(failed);
    const made = cluster.sim.log.since(before, 'runner.registered');
    expect(made).toHaveLength(1);
  });
});
