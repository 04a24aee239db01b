import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunnerEvent, runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import type { JobTags } from '../../../contracts/ports/backend.ts';
import { aGroup, freshName } from '../../support/a-group.ts';
import { startActors, type ActorsFixture } from '../../support/workflows.ts';
import { recordHistories } from '../../support/histories.ts';
import { aJob } from '../../support/a-job.ts';
import { until } from '../../support/until.ts';

let actors: ActorsFixture;
let jobs = 9000;

beforeAll(async () => {
  actors = await startActors();
});
afterAll(async () => {
  if (process.env['BATON_RECORD'] !== undefined) await recordHistories(actors.client, new Set(['runner-tagged']));
  await actors.stop();
});

const hookJob = { runAttempt: 2, repository: 'acme/hello', workflow: 'CI', jobKey: 'build' };

/** A runner on a backend that can tag, and what it hears in a job's life. */
async function oneRunner(name: string, tag: (tags: JobTags) => Promise<void>) {
  const group = freshName(name);
  actors.outside(group).tag = tag;
  await actors.start(aGroup(group));
  jobs += 1;
  const jobId = jobs;
  const notice = aJob('queued', jobId, { runAttempt: 2, workflow: 'CI', name: 'build (24)' });
  await actors.signal(group, [{ type: 'job', job: notice }]);
  const runner = await actors.firstRunner(group);
  const base = (): { version: 1; id: string; runner: string; at: string } => {
    return { version: 1, id: randomUUID(), runner, at: new Date().toISOString() };
  };
  const news = {
    started: { type: 'signal', signal: { ...base(), kind: 'started', job: { ...hookJob, runId: jobId } } },
    inProgress: { type: 'job', job: { ...notice, action: 'in_progress', runnerName: runner } },
    completed: { type: 'signal', signal: { ...base(), kind: 'completed', job: { ...hookJob, runId: jobId } } },
    exited: { type: 'signal', signal: { ...base(), kind: 'exited', code: 0, signal: null, logTail: '' } },
  } satisfies Record<string, RunnerEvent>;
  const handle = actors.client.workflow.getHandle(runnerWorkflowId(group, runner));
  const hear = (...what: (keyof typeof news)[]): Promise<void> =>
    actors.signalRunner(
      group,
      runner,
      what.map((one) => news[one]),
    );
  return { group, runner, jobId, handle, hear };
}

describe('the tags of an instance', () => {
  it('an instance is told what runs on it when the job starts and when it ends; so is who searches', async () => {
    const told: JobTags[] = [];
    const { jobId, handle, hear } = await oneRunner('tagged', (tags) => Promise.resolve(void told.push(tags)));
    const job = { repository: 'acme/hello', workflow: 'CI', run: String(jobId), attempt: '2' };
    await hear('started');
    await until(() => expect(told).toEqual([{ ...job, phase: 'busy', job: 'build' }]));
    await hear('started', 'inProgress');
    await hear('completed');
    await until(() => expect(told.slice(1)).toEqual([{ ...job, phase: 'completing', job: 'build (24)' }]));
    await hear('exited');
    expect(await handle.result()).toMatchObject({ reason: 'job-completed' });
    expect(told).toHaveLength(2);
    expect((await handle.describe()).searchAttributes).toMatchObject({
      BatonPhase: ['gone'],
      BatonRepository: ['acme/hello'],
      BatonWorkflow: ['CI'],
      BatonRunId: [String(jobId)],
      BatonRunAttempt: [2],
      BatonJob: ['build (24)'],
      BatonJobId: [String(jobId)],
    });
    const query = `BatonWorkflow = 'CI' AND BatonRunId = '${jobId}' AND BatonRunAttempt > 1 AND BatonPhase = 'gone'`;
    await until(async () => expect((await actors.client.workflow.count(query)).count).toBe(1));
  });

  it('tags that can’t be set are shown, and neither the job nor its end is any different', async () => {
    let tries = 0;
    const { group, runner, handle, hear } = await oneRunner('untagged', () => {
      tries += 1;
      return Promise.reject(ApplicationFailure.nonRetryable('not allowed to tag', 'BACKEND_DENIED'));
    });
    await hear('started');
    await until(async () => {
      expect(await handle.query<string>('__temporal_workflow_metadata').then(JSON.stringify)).toContain(
        'could not be set: not allowed to tag',
      );
    });
    await hear('completed', 'exited');
    expect(await handle.result()).toMatchObject({ reason: 'job-completed', failed: false });
    expect(tries).toBeGreaterThanOrEqual(1);
    expect(actors.outside(group).deleted).toEqual([runner]);
  });

  it('a backend that hangs while it tags delays no removal', async () => {
    const hangs = Promise.withResolvers<void>();
    let asked = false;
    const { group, runner, handle, hear } = await oneRunner('hung', () => {
      asked = true;
      return hangs.promise;
    });
    try {
      await hear('started');
      await until(() => expect(asked).toBe(true));
      await hear('completed', 'exited');
      expect(await handle.result()).toMatchObject({ reason: 'job-completed', failed: false });
      expect(actors.outside(group).deleted).toEqual([runner]);
    } finally {
      hangs.resolve();
    }
  });
});
