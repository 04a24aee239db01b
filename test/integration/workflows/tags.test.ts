import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunnerEvent, runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import type { JobTags } from '../../../contracts/ports/backend.ts';
import { aGroup, freshName } from '../../support/a-group.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';
import { recordHistories } from '../../support/histories.ts';
import { aJob } from '../../support/a-job.ts';
import { until } from '../../support/until.ts';

let world: WorkflowWorld;
let jobs = 9000;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(async () => {
  if (process.env['BATON_RECORD'] !== undefined) await recordHistories(world.client, new Set(['runner-tagged']));
  await world.stop();
});

const hookJob = { runAttempt: 2, repository: 'acme/hello', workflow: 'CI', jobKey: 'build' };

/** A runner on a backend that can tag instances, and the events of its job. */
async function oneRunner(name: string, tag: (tags: JobTags) => Promise<void>) {
  const group = freshName(name);
  world.edges(group).tag = tag;
  await world.start(aGroup(group));
  jobs += 1;
  const jobId = jobs;
  const notice = aJob('queued', jobId, { runAttempt: 2, workflow: 'CI', name: 'build (24)' });
  await world.signal(group, [{ type: 'job', job: notice }]);
  const runner = await world.firstRunner(group);
  const base = (): { version: 1; id: string; runner: string; at: string } => {
    return { version: 1, id: randomUUID(), runner, at: new Date().toISOString() };
  };
  const events = {
    started: { type: 'signal', signal: { ...base(), kind: 'started', job: { ...hookJob, runId: jobId } } },
    inProgress: { type: 'job', job: { ...notice, action: 'in_progress', runnerName: runner } },
    completed: { type: 'signal', signal: { ...base(), kind: 'completed', job: { ...hookJob, runId: jobId } } },
    exited: { type: 'signal', signal: { ...base(), kind: 'exited', code: 0, signal: null, logTail: '' } },
  } satisfies Record<string, RunnerEvent>;
  const handle = world.client.workflow.getHandle(runnerWorkflowId(group, runner));
  const send = (...what: (keyof typeof events)[]): Promise<void> =>
    world.signalRunner(
      group,
      runner,
      what.map((one) => events[one]),
    );
  return { group, runner, jobId, handle, send };
}

describe('the tags of an instance', () => {
  it('name the job when it starts and when it ends, as the search attributes do', async () => {
    const written: JobTags[] = [];
    const { jobId, handle, send } = await oneRunner('tagged', (tags) => Promise.resolve(void written.push(tags)));
    const job = { repository: 'acme/hello', workflow: 'CI', run: String(jobId), attempt: '2' };
    await send('started');
    await until(() => expect(written).toEqual([{ ...job, phase: 'busy', job: 'build' }]));
    await send('started', 'inProgress');
    await send('completed');
    await until(() => expect(written.slice(1)).toEqual([{ ...job, phase: 'completing', job: 'build (24)' }]));
    await send('exited');
    expect(await handle.result()).toMatchObject({ reason: 'job-completed' });
    expect(written).toHaveLength(2);
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
    await until(async () => expect((await world.client.workflow.count(query)).count).toBe(1));
  });

  it('show an error in the details when they cannot be written, without affecting the job', async () => {
    let tries = 0;
    const { group, runner, handle, send } = await oneRunner('untagged', () => {
      tries += 1;
      return Promise.reject(ApplicationFailure.nonRetryable('not allowed to tag', 'BACKEND_DENIED'));
    });
    await send('started');
    await until(async () => {
      expect(await handle.query<string>('__temporal_workflow_metadata').then(JSON.stringify)).toContain(
        'could not be set: not allowed to tag',
      );
    });
    await send('completed', 'exited');
    expect(await handle.result()).toMatchObject({ reason: 'job-completed', failed: false });
    expect(tries).toBeGreaterThanOrEqual(1);
    expect(world.edges(group).deleted).toEqual([runner]);
  });

  it('delay no removal when the backend hangs while it writes them', async () => {
    const hangs = Promise.withResolvers<void>();
    let asked = false;
    const { group, runner, handle, send } = await oneRunner('hung', () => {
      asked = true;
      return hangs.promise;
    });
    try {
      await send('started');
      await until(() => expect(asked).toBe(true));
      await send('completed', 'exited');
      expect(await handle.result()).toMatchObject({ reason: 'job-completed', failed: false });
      expect(world.edges(group).deleted).toEqual([runner]);
    } finally {
      hangs.resolve();
    }
  });
});
