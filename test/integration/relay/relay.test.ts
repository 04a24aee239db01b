import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HEADERS, STREAMS } from '../../../contracts/messages/streams.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { startService, type TestService } from '../../support/service.ts';
import { aJobEvent, startRelayWorld, type RecordedEvent, type RelayWorld } from './world.ts';

let world: RelayWorld;
let relay: TestService;
let deadLettersBefore: number;

beforeAll(async () => {
  world = await startRelayWorld();
  relay = await startService('relay', { config: world.config });
  await relay.ready();
});

beforeEach(async () => {
  deadLettersBefore = (await world.deadLetters()).length;
});

afterAll(async () => {
  await relay?.kill();
  await world?.stop();
});

const newRunnerName = (group: string): string => `runner-manager-${group}-${randomUUID().slice(0, 8)}`;
const signalBase = (runner: string) => ({ version: 1, id: randomUUID(), runner, at: new Date().toISOString() });
const hookJob = { runId: 1, runAttempt: 1, repository: 'octo-org/octo-repo', workflow: 'Build', jobKey: 'test' };

async function findJobEvents(job: number, group = 'linux'): Promise<RecordedEvent[]> {
  const all = (await world.dispatcherSignals(group)).flat();
  return all.filter((item) => JSON.stringify(item).includes(`"jobId":${job},`));
}

/** The dead letters since the test began: reason code, reason, original subject and body. */
async function newDeadLetters(): Promise<{ code: string; reason: string; subject: string; body: string }[]> {
  const all = await world.deadLetters();
  return all.slice(deadLettersBefore).map((message) => ({
    code: message.header.get(HEADERS.reasonCode),
    reason: message.header.get(HEADERS.reason),
    subject: message.header.get(HEADERS.originalSubject),
    body: message.string(),
  }));
}

describe('the relay, for webhooks', () => {
  it('starts the dispatcher of the job’s group and signals the job to it', async () => {
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

  it('signals a job’s runner and both groups when the runner belongs to another group', async () => {
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

  it('acknowledges a job’s webhook when the runner’s workflow has ended or never existed', async () => {
    const ended = newRunnerName('linux');
    await world.startRunner('linux', ended);
    await world.endRunner('linux', ended);
    const events = [
      aJobEvent('completed', { runner: ended }),
      aJobEvent('completed', { runner: newRunnerName('linux') }),
    ];
    for (const event of events) await world.publishJob(event);
    await world.untilQueuesEmpty();
    for (const event of events) expect(await findJobEvents(event.job.id)).toHaveLength(1);
    expect(await newDeadLetters()).toEqual([]);
  });

  it('stores a queued job that no group serves as a dead letter, and acknowledges its other events', async () => {
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
    const stream = await world.bus
      .jetstreamManager()
      .then((jetstreamManager) => jetstreamManager.streams.info(STREAMS.dead.name));
    expect(stream.config.subjects).toEqual(['baton.v1.dead.*']);
    expect(await relay.metric('baton_relay_dead_letters_total', { code: 'NO_GROUP' })).toBe(2);
  });

  it('stores malformed messages as dead letters without blocking those behind them', async () => {
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

describe('the relay, for signals', () => {
  it('signals the runner, and for a started job also the dispatcher', async () => {
    const runner = newRunnerName('linux');
    await world.startRunner('linux', runner);
    await world.publishJob(aJobEvent('queued'));
    await world.untilQueuesEmpty();
    const started = { ...signalBase(runner), kind: 'started', job: hookJob };
    const died = { ...signalBase(runner), kind: 'died', exitCode: 137, reason: 'exited with code 137' };
    await world.publish(subjects.signal(runner, 'started'), started);
    await world.publish(subjects.instanceDied(runner), died);
    await world.untilQueuesEmpty();
    const received = (await world.runnerSignals('linux', runner)).flat();
    expect(received).toContainEqual({ type: 'signal', signal: started });
    expect(received).toContainEqual({ type: 'died', died });
    const busy = (await world.dispatcherSignals('linux')).flat().filter((item) => item['runner'] === runner);
    expect(busy).toEqual([{ type: 'busy', runner, job: hookJob }]);
  });

  it('acknowledges a signal of a runner whose workflow has ended', async () => {
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

  it('delivers a signal to a runner whose workflow starts a moment later', async () => {
    const runner = newRunnerName('linux');
    const online = { ...signalBase(runner), kind: 'online', agentVersion: '1', host: 'h' };
    const retries = await relay.metric('baton_relay_messages_total', { result: 'retry' });
    await world.publish(subjects.signal(runner, 'online'), online);
    await expect.poll(() => relay.metric('baton_relay_messages_total', { result: 'retry' })).toBeGreaterThan(retries);
    await world.startRunner('linux', runner);
    await world.untilQueuesEmpty();
    expect((await world.runnerSignals('linux', runner)).flat()).toEqual([{ type: 'signal', signal: online }]);
  });

  it('stores a signal of an unknown runner as a dead letter after retries, and starts no workflow', async () => {
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

  it('stores signals that name another runner, another kind or an unknown runner as dead letters', async () => {
    const [victim, forger] = [newRunnerName('linux'), newRunnerName('linux')];
    await world.startRunner('linux', victim);
    await world.startRunner('linux', forger);
    await world.publish(subjects.signal(forger, 'completed'), {
      ...signalBase(victim),
      kind: 'completed',
      job: hookJob,
    });
    await world.publish(subjects.signal(forger, 'completed'), { ...signalBase(forger), kind: 'started', job: hookJob });
    const nonsense = world.publish(`baton.v1.signal.${forger}.nonsense`, { ...signalBase(forger), kind: 'started' });
    await expect(nonsense, 'no stream has such a subject').rejects.toThrow('503');
    await world.publish(subjects.signal('a-stranger', 'started'), {
      ...signalBase('a-stranger'),
      kind: 'started',
      job: hookJob,
    });
    await world.untilQueuesEmpty();
    const dead = await newDeadLetters();
    expect(dead.map(({ code }) => code).sort()).toEqual(['MESSAGE_INVALID', 'RUNNER_UNKNOWN', 'SIGNAL_FORGED']);
    expect(await world.runnerSignals('linux', victim)).toEqual([]);
    expect(await world.runnerSignals('linux', forger)).toEqual([]);
  });
});

describe('the relay’s metrics', () => {
  it('count the messages, and show how many wait and how many are in progress', async () => {
    expect(await relay.metric('baton_relay_lag_messages')).toBe(0);
    expect(await relay.metric('baton_relay_in_hand_messages')).toBe(0);
    expect(await relay.metric('baton_relay_messages_total', { result: 'delivered' })).toBeGreaterThan(0);
    expect(await relay.metric('baton_relay_batch_size_count', { actor: 'dispatcher' })).toBeGreaterThan(0);
  });
});
