import { randomUUID } from 'node:crypto';
import { WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REGISTER_RUNNER, type RunnerEvent, runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import { dispatcherWorkflowId } from '../../../contracts/workflows/dispatcher.ts';
import { type JobNotice } from '../../../contracts/workflows/job.ts';
import type { RunnerOutcome } from '../../../contracts/workflows/phase.ts';
import { aGroup, freshName } from '../../support/a-group.ts';
import { startActors, type ActorsFixture } from '../../support/workflows.ts';
import { recordHistories } from '../../support/histories.ts';
import { aJob } from '../../support/a-job.ts';
import { until } from '../../support/until.ts';

let actors: ActorsFixture;
let jobs = 100;

beforeAll(async () => {
  actors = await startActors();
});
afterAll(async () => {
  // `npm run histories`: what the replay test holds later versions of the workflows against.
  if (process.env['BATON_RECORD'] !== undefined) await recordHistories(actors.client);
  await actors.stop();
});

function job(action: JobNotice['action'], jobId: number, runnerName: string | null = null): JobNotice {
  const conclusion = action === 'completed' ? 'success' : null;
  return aJob(action, jobId, { url: 'http://example.test/job', conclusion, runnerName });
}

/** A group with one queued job and the runner that was made for it. */
async function oneRunner(group: string, more = {}): Promise<{ runner: string; jobId: number }> {
  await actors.start(aGroup(group, more));
  jobs += 1;
  const jobId = jobs;
  await actors.signal(group, [{ type: 'job', job: job('queued', jobId) }]);
  const runner = await actors.firstRunner(group);
  return { runner, jobId };
}

type Kind = 'online' | 'started' | 'completed' | 'exited' | 'interrupted';

function signal(runner: string, kind: Kind, jobId = 0): RunnerEvent {
  const base = { version: 1, id: randomUUID(), runner, at: new Date().toISOString() } as const;
  const hookJob = { runId: jobId, runAttempt: 1, repository: 'acme/hello', workflow: 'ci', jobKey: 'build' };
  switch (kind) {
    case 'online':
      return { type: 'signal', signal: { ...base, kind, agentVersion: '1', host: 'h' } };
    case 'interrupted':
      return { type: 'signal', signal: { ...base, kind, action: 'terminate', deadline: null } };
    case 'exited':
      return { type: 'signal', signal: { ...base, kind, code: 0, signal: null, logTail: '' } };
    default:
      return { type: 'signal', signal: { ...base, kind, job: hookJob } };
  }
}

const died = (runner: string): RunnerEvent => ({
  type: 'died',
  died: { version: 1, kind: 'died', id: randomUUID(), runner, at: '', exitCode: 137, reason: 'was killed' },
});

const handle = (group: string, runner: string) => actors.client.workflow.getHandle(runnerWorkflowId(group, runner));
const register = (group: string, runner: string) => handle(group, runner).executeUpdate<void, []>(REGISTER_RUNNER);
const result = (group: string, runner: string): Promise<RunnerOutcome> => handle(group, runner).result();

/** The failure a runner's workflow ended with: type = reason. */
async function failure(group: string, runner: string): Promise<ApplicationFailure> {
  try {
    await result(group, runner);
  } catch (error) {
    if (error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure) return error.cause;
    throw error;
  }
  throw new Error(`${runner} did not fail`);
}

describe('a runner', () => {
  it('lives from a queued job to its removal, and its place is free again', async () => {
    const group = freshName('whole');
    const { runner, jobId } = await oneRunner(group);
    await register(group, runner);
    await actors.signalRunner(group, runner, [signal(runner, 'online')]);
    await actors.signalRunner(group, runner, [signal(runner, 'started', jobId)]);
    await actors.signal(group, [{ type: 'job', job: job('in_progress', jobId, runner) }]);
    await actors.signalRunner(group, runner, [{ type: 'job', job: job('in_progress', jobId, runner) }]);
    await actors.signalRunner(group, runner, [signal(runner, 'completed', jobId)]);
    await actors.signalRunner(group, runner, [signal(runner, 'exited')]);
    expect(await result(group, runner)).toMatchObject({ reason: 'job-completed', ranJob: true, failed: false });
    expect(actors.outside(group).deleted).toEqual([runner]);
    expect(actors.outside(group).unregistered).toEqual([runner]);
    expect(await actors.getStatus(group)).toMatchObject({ waiting: 0, busy: 0, ready: 0 });
    const described = await handle(group, runner).describe();
    expect(described.searchAttributes).toMatchObject({
      BatonPhase: ['gone'],
      BatonRepository: ['acme/hello'],
      BatonJobId: [String(jobId)],
    });
  });

  it('is told twice, in the wrong order: the same end', async () => {
    const group = freshName('disorder');
    const { runner, jobId } = await oneRunner(group);
    await register(group, runner);
    const exited = signal(runner, 'exited');
    const started = signal(runner, 'started', jobId);
    await actors.signalRunner(group, runner, [
      { type: 'job', job: job('completed', jobId, runner) },
      exited,
      signal(runner, 'completed', jobId),
      started,
      signal(runner, 'online'),
      exited,
      started,
    ]);
    expect(await result(group, runner)).toMatchObject({ reason: 'job-completed', ranJob: true });
  });

  it('that dies with its job is a failure that says so', async () => {
    const group = freshName('dies');
    const { runner, jobId } = await oneRunner(group);
    await register(group, runner);
    await actors.signalRunner(group, runner, [signal(runner, 'started', jobId)]);
    await actors.signalRunner(group, runner, [died(runner)]);
    const { type, message } = await failure(group, runner);
    expect({ type, message }).toEqual({
      type: 'instance-died',
      message: 'its instance died (was killed); its job is lost',
    });
    expect(actors.outside(group).deleted).toContain(runner);
  });

  it('that dies with its job has not done it, whatever the forge calls it later', async () => {
    const group = freshName('lost');
    const { runner, jobId } = await oneRunner(group);
    await register(group, runner);
    await actors.signalRunner(group, runner, [signal(runner, 'started', jobId), signal(runner, 'interrupted')]);
    const completed = { ...job('completed', jobId, runner), conclusion: 'failure' };
    await actors.signalRunner(group, runner, [died(runner), { type: 'job', job: completed }]);
    const { message } = await failure(group, runner);
    expect(message).toMatch(
      /^its instance died .*; the cloud had announced .* reclaims the instance; its job is lost$/,
    );
  });

  it('whose instance cannot be made fails with the backend’s own words', async () => {
    const group = freshName('nothing');
    actors.outside(group).create = () =>
      Promise.reject(ApplicationFailure.nonRetryable('image "none" is not there', 'INSTANCE_INVALID'));
    await actors.start(aGroup(group));
    await actors.signal(group, [{ type: 'job', job: job('queued', 1) }]);
    const runner = await until(() => {
      const [deleted] = actors.outside(group).deleted;
      if (deleted === undefined) throw new Error('nothing removed yet');
      return deleted;
    });
    const { type, message } = await failure(group, runner);
    expect(type).toBe('create-failed');
    expect(message).toContain('image "none" is not there');
    // Never registered: the forge is not even asked.
    expect(actors.outside(group).unregistered).toEqual([]);
    expect((await actors.getStatus(group)).backoffUntil).not.toBeNull();
    await actors.signal(group, [{ type: 'job', job: job('completed', 1) }]);
  });

  it('may register until it is online, and not after', async () => {
    const group = freshName('gate');
    const { runner } = await oneRunner(group);
    await register(group, runner);
    await register(group, runner);
    await actors.signalRunner(group, runner, [signal(runner, 'online')]);
    await expect(register(group, runner)).rejects.toThrow(WorkflowUpdateFailedError);
    const { events } = await handle(group, runner).fetchHistory();
    const accepted = events?.filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes);
    // What is refused leaves nothing in the history: a job can't fill it by asking.
    expect(accepted).toHaveLength(2);
    await handle(group, runner).cancel();
    await expect(result(group, runner)).rejects.toThrow(WorkflowFailedError);
    expect(actors.outside(group).deleted).toEqual([runner]);
  });

  it('that the forge calls busy is kept, whatever the instance says', async () => {
    const group = freshName('doubt');
    let busy = true;
    actors.outside(group).unregister = () => (busy ? 'busy' : 'absent');
    const { runner, jobId } = await oneRunner(group, { timeToLiveMs: 3_600_000 });
    await register(group, runner);
    await actors.signalRunner(group, runner, [signal(runner, 'started', jobId), signal(runner, 'exited')]);
    await until(async () => {
      const { raw } = await handle(group, runner).describe();
      expect(raw.pendingActivities ?? []).toEqual([]);
      const { events } = await handle(group, runner).fetchHistory();
      expect(events?.some((event) => event.activityTaskCompletedEventAttributes && event.eventId)).toBe(true);
    });
    expect(actors.outside(group).deleted).toEqual([]);
    busy = false;
    await actors.signalRunner(group, runner, [{ type: 'job', job: job('completed', jobId, runner) }]);
    expect(await result(group, runner)).toMatchObject({ reason: 'job-completed' });
  });
});

describe('time', () => {
  it('to start: a runner that never comes up is removed', async () => {
    const group = freshName('late');
    const { runner } = await oneRunner(group, { timeToStartMs: 1000 });
    const { type, message } = await failure(group, runner);
    expect({ type, message }).toEqual({
      type: 'time-to-start',
      message: 'no job started within the time to start',
    });
    expect(actors.outside(group).deleted).toContain(runner);
  });

  it('to start: an idle runner that nobody needs is unregistered first, then removed', async () => {
    const group = freshName('idle');
    const { runner, jobId } = await oneRunner(group, { timeToStartMs: 1000 });
    await register(group, runner);
    await actors.signalRunner(group, runner, [signal(runner, 'online')]);
    await actors.signal(group, [{ type: 'job', job: job('completed', jobId) }]);
    expect(await result(group, runner)).toMatchObject({ reason: 'time-to-start', ranJob: false, failed: false });
    expect(actors.outside(group).unregistered).toEqual([runner]);
  });

  it('to start: a job that shows up within the lag keeps its runner', async () => {
    const group = freshName('lag');
    const { runner, jobId } = await oneRunner(group, { timeToStartMs: 1000 });
    await register(group, runner);
    await actors.signalRunner(group, runner, [signal(runner, 'online')]);
    await until(() => expect(actors.outside(group).unregistered).toEqual([runner]));
    await actors.signalRunner(group, runner, [signal(runner, 'started', jobId)]);
    await actors.signalRunner(group, runner, [signal(runner, 'completed', jobId), signal(runner, 'exited')]);
    expect(await result(group, runner)).toMatchObject({ reason: 'job-completed' });
  });

  it('to start does not hold for a runner that is kept warm', async () => {
    const group = freshName('warm');
    await actors.start(aGroup(group, { min: 1, timeToStartMs: 500 }));
    const runner = await actors.firstRunner(group);
    await register(group, runner);
    await actors.signalRunner(group, runner, [signal(runner, 'online')]);
    await until(async () => {
      const { events } = await handle(group, runner).fetchHistory();
      const fired = events?.filter((event) => event.timerFiredEventAttributes) ?? [];
      expect(fired.length).toBeGreaterThanOrEqual(2);
    });
    expect(actors.outside(group).deleted).toEqual([]);
    expect((await actors.getStatus(group)).ready).toBe(1);
  });

  it('to live: a job that never ends is ended', async () => {
    const group = freshName('forever');
    const { runner, jobId } = await oneRunner(group, { timeToLiveMs: 2000 });
    await register(group, runner);
    await actors.signalRunner(group, runner, [signal(runner, 'started', jobId)]);
    const { type, message } = await failure(group, runner);
    expect({ type, message }).toEqual({
      type: 'time-to-live',
      message: 'it reached its time to live; its job is lost',
    });
    expect(actors.outside(group).deleted).toEqual([runner]);
  });
});

describe('a group', () => {
  it('never has more than max, and gives each freed place away', async () => {
    const group = freshName('crowd');
    await actors.start(aGroup(group, { max: 3 }));
    const ids = Array.from({ length: 9 }, (_, index) => 9000 + index);
    await actors.signal(
      group,
      ids.map((id) => ({ type: 'job', job: job('queued', id) })),
    );
    for (let done = 0; done < ids.length; done++) {
      const runner = await until(() => {
        expect(actors.outside(group).created.length).toBe(Math.min(ids.length, done + 3));
        return actors.outside(group).created[done] ?? '';
      });
      expect(actors.outside(group).created.length - actors.outside(group).deleted.length).toBeLessThanOrEqual(3);
      const id = ids[done] ?? 0;
      await actors.signal(group, [{ type: 'job', job: job('in_progress', id, runner) }]);
      await actors.signalRunner(group, runner, [{ type: 'job', job: job('completed', id, runner) }, died(runner)]);
    }
    await until(async () => expect(await actors.getStatus(group)).toMatchObject({ waiting: 0, busy: 0, ready: 0 }));
  });

  it('keeps all it knows when its history begins anew', { timeout: 300_000 }, async () => {
    const group = freshName('anew');
    const { runner, jobId } = await oneRunner(group, { max: 1 });
    await actors.signal(group, [{ type: 'job', job: job('queued', 7001) }]);
    const noise = job('completed', 7002);
    for (let batch = 0; batch < 50; batch++) {
      await Promise.all(Array.from({ length: 50 }, () => actors.signal(group, [{ type: 'job', job: noise }])));
    }
    await until(async () => {
      const { runId } = await actors.client.workflow.getHandle(dispatcherWorkflowId(group)).describe();
      const first = actors.client.workflow.list({
        query: `WorkflowId = '${dispatcherWorkflowId(group)}' AND ExecutionStatus = 'ContinuedAsNew'`,
      });
      const ids = [];
      for await (const execution of first) ids.push(execution.runId);
      expect(ids.length).toBeGreaterThanOrEqual(1);
      expect(ids).not.toContain(runId);
    });
    expect(await actors.getStatus(group)).toMatchObject({ waiting: 2, ready: 1 });
    await actors.signal(group, [{ type: 'job', job: job('in_progress', jobId, runner) }]);
    expect(await actors.getStatus(group)).toMatchObject({ waiting: 1, busy: 1 });
  });

  it('a job that floods its own runner with signals costs nobody anything', { timeout: 300_000 }, async () => {
    const group = freshName('flood');
    const { runner, jobId } = await oneRunner(group, { timeToLiveMs: 3_600_000 });
    await register(group, runner);
    await actors.signalRunner(group, runner, [signal(runner, 'online'), signal(runner, 'started', jobId)]);
    for (let batch = 0; batch < 60; batch++) {
      await Promise.all(
        Array.from({ length: 50 }, () => actors.signalRunner(group, runner, [signal(runner, 'started', jobId)])),
      );
    }
    await actors.signalRunner(group, runner, [signal(runner, 'completed', jobId), signal(runner, 'exited')]);
    expect(await result(group, runner)).toMatchObject({ reason: 'job-completed' });
    const { raw, runId } = await handle(group, runner).describe();
    expect(raw.workflowExecutionInfo?.firstRunId).not.toBe(runId);
    expect(actors.outside(group).created).toEqual([runner]);
    expect(actors.outside(group).deleted).toEqual([runner]);
  });
});
