import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REGISTER_RUNNER, type RunnerEvent, runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import { dispatcherWorkflowId } from '../../../contracts/workflows/dispatcher.ts';
import { type JobNotice } from '../../../contracts/workflows/job.ts';
import type { RunnerOutcome } from '../../../contracts/workflows/phase.ts';
import { aGroup, freshName } from '../../support/a-group.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';
import { recordHistories } from '../../support/histories.ts';
import { aJob } from '../../support/a-job.ts';
import { anInstanceDeath, aRunnerSignal } from '../../support/runner-events.ts';
import { until } from '../../support/until.ts';

let world: WorkflowWorld;
let jobs = 100;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(async () => {
  // `npm run histories` records what the replay test replays with later versions of the workflows.
  if (process.env['BATON_RECORD'] !== undefined) await recordHistories(world.client);
  await world.stop();
});

function job(action: JobNotice['action'], jobId: number, runnerName: string | null = null): JobNotice {
  const conclusion = action === 'completed' ? 'success' : null;
  return aJob(action, jobId, { url: 'http://example.test/job', conclusion, runnerName });
}

/** A group with one queued job and the runner that was made for it. */
async function oneRunner(group: string, more = {}): Promise<{ runner: string; jobId: number }> {
  await world.start(aGroup(group, more));
  jobs += 1;
  const jobId = jobs;
  await world.signal(group, [{ type: 'job', job: job('queued', jobId) }]);
  const runner = await world.firstRunner(group);
  return { runner, jobId };
}

const signal = (runner: string, kind: Parameters<typeof aRunnerSignal>[1], jobId = 0): RunnerEvent =>
  aRunnerSignal(runner, kind, { jobId });

const handle = (group: string, runner: string) => world.client.workflow.getHandle(runnerWorkflowId(group, runner));
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
  it('runs from a queued job to its removal, and frees its slot', async () => {
    const group = freshName('whole');
    const { runner, jobId } = await oneRunner(group);
    await register(group, runner);
    await world.signalRunner(group, runner, [signal(runner, 'online')]);
    await world.signalRunner(group, runner, [signal(runner, 'started', jobId)]);
    await world.signal(group, [{ type: 'job', job: job('in_progress', jobId, runner) }]);
    await world.signalRunner(group, runner, [{ type: 'job', job: job('in_progress', jobId, runner) }]);
    await world.signalRunner(group, runner, [signal(runner, 'completed', jobId)]);
    await world.signalRunner(group, runner, [signal(runner, 'exited')]);
    await world.signalRunner(group, runner, [{ type: 'job', job: job('completed', jobId, runner) }]);
    expect(await result(group, runner)).toMatchObject({ reason: 'job-completed', ranJob: true, failed: false });
    expect(world.edges(group).deleted).toEqual([runner]);
    // The forge said itself that the job is complete: its registration is gone, and looking for it would cost a call.
    expect(world.edges(group).unregistered).toEqual([]);
    expect(await world.getStatus(group)).toMatchObject({ waiting: 0, busy: 0, ready: 0 });
    const described = await handle(group, runner).describe();
    expect(described.searchAttributes).toMatchObject({
      BatonPhase: ['gone'],
      BatonRepository: ['acme/hello'],
      BatonJobId: [String(jobId)],
    });
  });

  it('ends in the same way when its events arrive twice and in the wrong order', async () => {
    const group = freshName('disorder');
    const { runner, jobId } = await oneRunner(group);
    await register(group, runner);
    const exited = signal(runner, 'exited');
    const started = signal(runner, 'started', jobId);
    await world.signalRunner(group, runner, [
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

  it('fails with a message about the lost job when its instance dies', async () => {
    const group = freshName('dies');
    const { runner, jobId } = await oneRunner(group);
    await register(group, runner);
    await world.signalRunner(group, runner, [signal(runner, 'started', jobId)]);
    await world.signalRunner(group, runner, [anInstanceDeath(runner)]);
    const { type, message } = await failure(group, runner);
    expect({ type, message }).toEqual({
      type: 'instance-died',
      message: 'its instance died (was killed); its job is lost',
    });
    expect(world.edges(group).deleted).toContain(runner);
  });

  it('fails when its instance dies during its job, even if the forge later reports the job as completed', async () => {
    const group = freshName('lost');
    const { runner, jobId } = await oneRunner(group);
    await register(group, runner);
    await world.signalRunner(group, runner, [signal(runner, 'started', jobId), signal(runner, 'interrupted')]);
    const completed = { ...job('completed', jobId, runner), conclusion: 'failure' };
    await world.signalRunner(group, runner, [anInstanceDeath(runner), { type: 'job', job: completed }]);
    const { message } = await failure(group, runner);
    expect(message).toMatch(
      /^its instance died .*; the cloud had announced .* reclaims the instance; its job is lost$/,
    );
  });

  it('fails with the backend’s message when its instance cannot be created', async () => {
    const group = freshName('nothing');
    world.edges(group).create = () =>
      Promise.reject(ApplicationFailure.nonRetryable('image "none" is not there', 'INSTANCE_INVALID'));
    await world.start(aGroup(group));
    await world.signal(group, [{ type: 'job', job: job('queued', 1) }]);
    const runner = await until(() => {
      const [deleted] = world.edges(group).deleted;
      if (deleted === undefined) throw new Error('nothing removed yet');
      return deleted;
    });
    const { type, message } = await failure(group, runner);
    expect(type).toBe('create-failed');
    expect(message).toContain('image "none" is not there');
    // It never registered, so that the forge is not asked.
    expect(world.edges(group).unregistered).toEqual([]);
    await until(async () => expect((await world.getStatus(group)).backoffUntil).not.toBeNull());
    await world.signal(group, [{ type: 'job', job: job('completed', 1) }]);
  });
});

describe('the time limits of a runner', () => {
  it('remove a runner that never comes online within the time to start', async () => {
    const group = freshName('late');
    const { runner } = await oneRunner(group, { timeToStartMs: 5000 });
    const { type, message } = await failure(group, runner);
    expect({ type, message }).toEqual({
      type: 'time-to-start',
      message: 'no job started within the time to start',
    });
    expect(world.edges(group).deleted).toContain(runner);
  });

  it('unregister and then remove an idle runner that its group does not need', async () => {
    const group = freshName('idle');
    const { runner, jobId } = await oneRunner(group, { timeToStartMs: 5000 });
    await register(group, runner);
    await world.signalRunner(group, runner, [signal(runner, 'online')]);
    await world.signal(group, [{ type: 'job', job: job('completed', jobId) }]);
    expect(await result(group, runner)).toMatchObject({ reason: 'time-to-start', ranJob: false, failed: false });
    expect(world.edges(group).unregistered).toEqual([runner]);
  });

  it('keep a runner whose job appears within the lag of the forge', async () => {
    const group = freshName('lag');
    const { runner, jobId } = await oneRunner(group, { timeToStartMs: 5000 });
    await register(group, runner);
    await world.signalRunner(group, runner, [signal(runner, 'online')]);
    await until(() => expect(world.edges(group).unregistered).toEqual([runner]));
    await world.signalRunner(group, runner, [signal(runner, 'started', jobId)]);
    await world.signalRunner(group, runner, [
      signal(runner, 'completed', jobId),
      signal(runner, 'exited'),
      { type: 'job', job: job('completed', jobId, runner) },
    ]);
    expect(await result(group, runner)).toMatchObject({ reason: 'job-completed' });
  });

  it('exempt an idle runner that min requires from the time to start', async () => {
    const group = freshName('warm');
    await world.start(aGroup(group, { min: 1, timeToStartMs: 4000 }));
    const runner = await world.firstRunner(group);
    await register(group, runner);
    await world.signalRunner(group, runner, [signal(runner, 'online')]);
    await until(async () => {
      const { events } = await handle(group, runner).fetchHistory();
      const fired = events?.filter((event) => event.timerFiredEventAttributes) ?? [];
      expect(fired.length).toBeGreaterThanOrEqual(2);
    });
    expect(world.edges(group).deleted).toEqual([]);
    expect((await world.getStatus(group)).ready).toBe(1);
  });

  it('remove a runner whose job exceeds the time to live', async () => {
    const group = freshName('forever');
    const { runner, jobId } = await oneRunner(group, { timeToLiveMs: 8000 });
    await register(group, runner);
    await world.signalRunner(group, runner, [signal(runner, 'started', jobId)]);
    const { type, message } = await failure(group, runner);
    expect({ type, message }).toEqual({
      type: 'time-to-live',
      message: 'it reached its time to live; its job is lost',
    });
    expect(world.edges(group).deleted).toEqual([runner]);
  });
});

describe('a group', () => {
  it('never has more than max runners, and starts the next one when one is gone', async () => {
    const group = freshName('crowd');
    await world.start(aGroup(group, { max: 3 }));
    const ids = Array.from({ length: 9 }, (_, index) => 9000 + index);
    await world.signal(
      group,
      ids.map((id) => ({ type: 'job', job: job('queued', id) })),
    );
    for (let done = 0; done < ids.length; done++) {
      const runner = await until(() => {
        expect(world.edges(group).created.length).toBe(Math.min(ids.length, done + 3));
        return world.edges(group).created[done] ?? '';
      });
      expect(world.edges(group).created.length - world.edges(group).deleted.length).toBeLessThanOrEqual(3);
      const id = ids[done] ?? 0;
      await world.signal(group, [{ type: 'job', job: job('in_progress', id, runner) }]);
      await world.signalRunner(group, runner, [
        { type: 'job', job: job('completed', id, runner) },
        anInstanceDeath(runner),
      ]);
    }
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ waiting: 0, busy: 0, ready: 0 }));
  });

  it('carries all of its state over when it continues as new', { timeout: 300_000 }, async () => {
    const group = freshName('anew');
    // On a loaded machine this takes more than a minute: nothing may end meanwhile.
    const { runner, jobId } = await oneRunner(group, { max: 1, timeToStartMs: 3_600_000, timeToLiveMs: 36_000_000 });
    await world.signal(group, [{ type: 'job', job: job('queued', 7001) }]);
    const noise = job('completed', 7002);
    for (let batch = 0; batch < 50; batch++) {
      await Promise.all(Array.from({ length: 50 }, () => world.signal(group, [{ type: 'job', job: noise }])));
    }
    await until(async () => {
      const { runId } = await world.client.workflow.getHandle(dispatcherWorkflowId(group)).describe();
      const first = world.client.workflow.list({
        query: `WorkflowId = '${dispatcherWorkflowId(group)}' AND ExecutionStatus = 'ContinuedAsNew'`,
      });
      const ids = [];
      for await (const execution of first) ids.push(execution.runId);
      expect(ids.length).toBeGreaterThanOrEqual(1);
      expect(ids).not.toContain(runId);
    });
    expect(await world.getStatus(group)).toMatchObject({ waiting: 2, ready: 1 });
    await world.signal(group, [{ type: 'job', job: job('in_progress', jobId, runner) }]);
    expect(await world.getStatus(group)).toMatchObject({ waiting: 1, busy: 1 });
  });

  it('is not affected by a job that floods its own runner with signals', { timeout: 300_000 }, async () => {
    const group = freshName('flood');
    const { runner, jobId } = await oneRunner(group, { timeToLiveMs: 3_600_000 });
    await register(group, runner);
    await world.signalRunner(group, runner, [signal(runner, 'online'), signal(runner, 'started', jobId)]);
    // Otherwise the dispatcher replaces the runner as soon as it is gone, because the job still waits.
    await world.signal(group, [{ type: 'job', job: job('in_progress', jobId, runner) }]);
    // A little more than one run of the workflow holds, so that the history of the next one is short enough to be recorded.
    for (let batch = 0; batch < 44; batch++) {
      await Promise.all(
        Array.from({ length: 50 }, () => world.signalRunner(group, runner, [signal(runner, 'started', jobId)])),
      );
    }
    await world.signalRunner(group, runner, [signal(runner, 'completed', jobId), signal(runner, 'exited')]);
    expect(await result(group, runner)).toMatchObject({ reason: 'job-completed' });
    const { raw, runId } = await handle(group, runner).describe();
    expect(raw.workflowExecutionInfo?.firstRunId).not.toBe(runId);
    expect(world.edges(group).created).toEqual([runner]);
    expect(world.edges(group).deleted).toEqual([runner]);
  });
});
