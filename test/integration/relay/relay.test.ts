import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HEADERS, STREAMS } from '../../../contracts/messages/streams.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { startService, type TestService } from '../../support/service.ts';
import { aJobEvent, startRelayWorld, type RecordedEvent, type RelayWorld } from './world.ts';

let world: RelayWorld;
let relay: TestService;
let deadBefore: number;

beforeAll(async () => {
  world = await startRelayWorld();
  relay = await startService('relay', { config: world.config });
  await relay.ready();
}, 60_000);

beforeEach(async () => {
  deadBefore = (await world.deadLetters()).length;
});

afterAll(async () => {
  await relay?.kill();
  await world?.stop();
}, 60_000);

const newRunnerName = (group: string): string => `runner-manager-${group}-${randomUUID().slice(0, 8)}`;
const signalBase = (runner: string) => ({ version: 1, id: randomUUID(), runner, at: new Date().toISOString() });
const hookJob = { runId: 1, runAttempt: 1, repository: 'octo-org/octo-repo', workflow: 'Build', jobKey: 'test' };

async function findJobEvents(job: number, group = 'linux'): Promise<RecordedEvent[]> {
  const all = (await world.dispatcherSignals(group)).flat();
  return all.filter((item) => JSON.stringify(item).includes(`"jobId":${job},`));
}

/** Reason codes and sentences of the dead letters since the test began. */
async function newDeadLetters(): Promise<{ code: string; reason: string; subject: string; body: string }[]> {
  const all = await world.deadLetters();
  return all.slice(deadBefore).map((letter) => ({
    code: letter.header.get(HEADERS.reasonCode),
    reason: letter.header.get(HEADERS.reason),
    subject: letter.header.get(HEADERS.originalSubject),
    body: letter.string(),
  }));
}

describe('webhooks', () => {
  it('start the dispatcher of the job’s group and tell it', async () => {
    const event = aJobEvent('queued', { labels: ['Linux', 'GPU'] });
    await world.publishJob(event);
    await world.untilQueuesEmpty();
    expect(await findJobEvents(event.job.id, 'gpu')).toEqual([
      {
        type: 'job',
        job: {
          key: `${event.job.id}:1`,
          delivery: event.delivery,
          action: 'queued',
          jobId: event.job.id,
          runId: 1,
          runAttempt: 1,
          repository: 'octo-org/octo-repo',
          private: false,
          labels: ['Linux', 'GPU'],
          workflow: 'Build',
          name: 'test',
          url: null,
          conclusion: null,
          runnerName: null,
          at: event.receivedAt,
        },
      },
    ]);
    const description = await world.client.workflow.getHandle('group/gpu').describe();
    expect(description.type).toBe('dispatcher');
    expect(description.searchAttributes).toMatchObject({ BatonGroup: ['gpu'], BatonForge: ['github'] });
    expect(await description.staticSummary()).toBe('dispatcher of gpu');
  });

  it('of a runner of ours reach that runner, and its own group where the job is another’s', async () => {
    const runner = newRunnerName('gpu');
    await world.startRunner('gpu', runner);
    const event = aJobEvent('in_progress', { runner });
    await world.publishJob(event);
    await world.untilQueuesEmpty();
    expect(await findJobEvents(event.job.id, 'linux')).toHaveLength(1);
    expect(await findJobEvents(event.job.id, 'gpu')).toHaveLength(1);
    expect((await world.runnerSignals('gpu', runner)).flat()).toMatchObject([
      { type: 'job', job: { runnerName: runner } },
    ]);
  });

  it('of a runner that is over, or was never there, are done with', async () => {
    const over = newRunnerName('linux');
    await world.startRunner('linux', over);
    await world.endRunner('linux', over);
    const events = [
      aJobEvent('completed', { runner: over }),
      aJobEvent('completed', { runner: newRunnerName('linux') }),
    ];
    for (const event of events) await world.publishJob(event);
    await world.untilQueuesEmpty();
    for (const event of events) expect(await findJobEvents(event.job.id)).toHaveLength(1);
    expect(await newDeadLetters()).toEqual([]);
  });

  it('that no group serves: a queued job is a dead letter with its reason, the rest is done with', async () => {
    const queued = aJobEvent('queued', { labels: ['sparc'] });
    await world.publishJob(queued);
    await world.publishJob(aJobEvent('completed', { labels: ['sparc'] }));
    await world.publishJob(aJobEvent('queued', { owner: 'stranger' }));
    await world.untilQueuesEmpty();
    const dead = await newDeadLetters();
    expect(dead).toMatchObject([
      { code: 'NO_GROUP', subject: 'baton.v1.webhook.github.workflow_job' },
      { code: 'NO_GROUP', reason: expect.stringContaining('a job of stranger/octo-repo') },
    ]);
    expect(dead[0]?.reason).toContain('linux lacks sparc');
    expect(JSON.parse(dead[0]?.body ?? '')).toEqual(queued);
    const letters = await world.bus
      .jetstreamManager()
      .then((jetstreamManager) => jetstreamManager.streams.info(STREAMS.dead.name));
    expect(letters.config.subjects).toEqual(['baton.v1.dead.>']);
    expect(await relay.metric('baton_relay_dead_letters_total', { code: 'NO_GROUP' })).toBe(2);
  });

  it('that are poison do not hold up those behind', async () => {
    const subject = subjects.webhook('github', 'workflow_job');
    await world.publish(subject, new TextEncoder().encode('{"half'));
    await world.publish(subject, { ...aJobEvent('queued'), job: null });
    await world.publish(subject, new Uint8Array());
    const good = aJobEvent('queued');
    await world.publishJob(good);
    await world.untilQueuesEmpty();
    expect(await findJobEvents(good.job.id)).toHaveLength(1);
    const dead = await newDeadLetters();
    expect(dead.map(({ code }) => code)).toEqual(['MESSAGE_INVALID', 'MESSAGE_INVALID', 'MESSAGE_INVALID']);
    expect(dead.map(({ body }) => body)).toContain('{"half');
    expect(dead.map(({ reason }) => reason).join()).toContain('job: ');
  });
});

describe('signals', () => {
  it('reach their runner; a started job also the dispatcher', async () => {
    const runner = newRunnerName('linux');
    await world.startRunner('linux', runner);
    await world.publishJob(aJobEvent('queued'));
    await world.untilQueuesEmpty();
    const started = { ...signalBase(runner), kind: 'started', job: hookJob };
    const died = { ...signalBase(runner), kind: 'died', exitCode: 137, reason: 'exited with code 137' };
    await world.publish(subjects.signal(runner, 'started'), started);
    await world.publish(subjects.instanceDied(runner), died);
    await world.untilQueuesEmpty();
    const told = (await world.runnerSignals('linux', runner)).flat();
    expect(told).toContainEqual({ type: 'signal', signal: started });
    expect(told).toContainEqual({ type: 'died', died });
    const busy = (await world.dispatcherSignals('linux')).flat().filter((item) => item['runner'] === runner);
    expect(busy).toEqual([{ type: 'busy', runner, job: hookJob }]);
  });

  it('for a runner that is over are done with', async () => {
    const runner = newRunnerName('linux');
    await world.startRunner('linux', runner);
    await world.endRunner('linux', runner);
    await world.publish(subjects.signal(runner, 'completed'), {
      ...signalBase(runner),
      kind: 'completed',
      job: hookJob,
    });
    await world.untilQueuesEmpty();
    expect(await newDeadLetters()).toEqual([]);
    expect(await relay.metric('baton_relay_messages_total', { result: 'closed' })).toBeGreaterThan(0);
  });

  it('for a runner that comes into being a moment later arrive', async () => {
    const runner = newRunnerName('linux');
    const online = { ...signalBase(runner), kind: 'online', agentVersion: '1', host: 'h' };
    const retries = await relay.metric('baton_relay_messages_total', { result: 'retry' });
    await world.publish(subjects.signal(runner, 'online'), online);
    await expect
      .poll(() => relay.metric('baton_relay_messages_total', { result: 'retry' }), { timeout: 10_000 })
      .toBeGreaterThan(retries);
    await world.startRunner('linux', runner);
    await world.untilQueuesEmpty();
    expect((await world.runnerSignals('linux', runner)).flat()).toEqual([{ type: 'signal', signal: online }]);
  });

  it('for a runner that never was become dead letters after a while, and start nothing', async () => {
    const runner = newRunnerName('never');
    const signal = { ...signalBase(runner), kind: 'started', job: hookJob };
    const began = Date.now();
    await world.publish(subjects.signal(runner, 'started'), signal);
    await world.untilQueuesEmpty(90_000);
    expect(Date.now() - began).toBeGreaterThan(10_000);
    expect(await newDeadLetters()).toMatchObject([{ code: 'RUNNER_UNKNOWN', reason: expect.stringContaining(runner) }]);
    expect(await world.dispatcherSignals('never')).toEqual([]);
    expect(await world.runnerSignals('never', runner)).toEqual([]);
  });

  it('that speak for another runner, or lie about their kind, are dead letters', async () => {
    const [victim, liar] = [newRunnerName('linux'), newRunnerName('linux')];
    await world.startRunner('linux', victim);
    await world.startRunner('linux', liar);
    await world.publish(subjects.signal(liar, 'completed'), { ...signalBase(victim), kind: 'completed', job: hookJob });
    await world.publish(subjects.signal(liar, 'completed'), { ...signalBase(liar), kind: 'started', job: hookJob });
    await world.publish(`baton.v1.signal.${liar}.nonsense`, { ...signalBase(liar), kind: 'started', job: hookJob });
    await world.publish(subjects.signal('a-stranger', 'started'), {
      ...signalBase('a-stranger'),
      kind: 'started',
      job: hookJob,
    });
    await world.untilQueuesEmpty();
    const dead = await newDeadLetters();
    expect(dead.map(({ code }) => code).sort()).toEqual([
      'MESSAGE_INVALID',
      'MESSAGE_INVALID',
      'RUNNER_UNKNOWN',
      'SIGNAL_FORGED',
    ]);
    expect(await world.runnerSignals('linux', victim)).toEqual([]);
    expect(await world.runnerSignals('linux', liar)).toEqual([]);
  });
});

describe('the relay', () => {
  it('counts, and shows what waits', async () => {
    expect(await relay.metric('baton_relay_lag_messages')).toBe(0);
    expect(await relay.metric('baton_relay_in_hand_messages')).toBe(0);
    expect(await relay.metric('baton_relay_messages_total', { result: 'delivered' })).toBeGreaterThan(0);
    expect(await relay.metric('baton_relay_batch_size_count', { actor: 'dispatcher' })).toBeGreaterThan(0);
  });
});
