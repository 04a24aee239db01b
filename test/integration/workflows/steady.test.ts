import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DISPATCHER_ROSTER, dispatcherWorkflowId, type Roster } from '../../../contracts/workflows/dispatcher.ts';
import { type JobNotice } from '../../../contracts/workflows/job.ts';
import { aGroup } from '../../support/a-group.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';
import { aJob } from '../../support/a-job.ts';
import { until } from '../../support/until.ts';

/** How many signals are sent at the same time. */
const SENDERS = 2;
/** After this many signals, a sender waits until the dispatcher has processed them, so that a slow machine can keep up. */
const AHEAD = 300;
/** A run ends at 2,000 events, plus those of one workflow task and of a refused attempt to continue as new. */
const MAX_EVENTS = 4000;

let world: WorkflowWorld;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(() => world.stop());

function job(jobId: number, action: 'queued' | 'completed'): JobNotice {
  return aJob(action, jobId, { conclusion: action === 'completed' ? 'success' : null });
}

/** The history lengths of a dispatcher's runs that continued as new. */
async function listEndedRuns(group: string): Promise<number[]> {
  const query = `WorkflowId = '${dispatcherWorkflowId(group)}' AND ExecutionStatus = 'ContinuedAsNew'`;
  const lengths: number[] = [];
  for await (const { historyLength } of world.client.workflow.list({ query })) lengths.push(historyLength);
  return lengths;
}

describe('a dispatcher under steady load', () => {
  it('continues as new while signals keep arriving, and loses none of them', async () => {
    // A name that no earlier run of this test used.
    const group = `steady-${randomUUID().slice(0, 8)}`;
    const stop = new AbortController();
    let last = 0;
    const send = async (): Promise<void> => {
      for (let sent = 1; !stop.signal.aborted; sent++) {
        last += 1;
        const jobId = last;
        // Every third job stays queued, so that there is always one that needs a runner.
        const notices = [job(jobId, 'queued'), ...(jobId % 3 === 0 ? [] : [job(jobId, 'completed')])];
        await world.signal(
          group,
          notices.map((notice) => ({ type: 'job', job: notice })),
        );
        if (sent % AHEAD === 0) await world.getStatus(group);
      }
    };
    // Each runner is gone at once, so that the dispatcher always has a next one to start.
    world.edges(group).create = async (runner) => {
      const outcome = { runner, reason: 'job-completed', ranJob: true, failed: false, detail: '' } as const;
      if (!stop.signal.aborted) await world.signal(group, [{ type: 'gone', outcome }]);
    };
    await world.start(aGroup(group, { max: 50, timeToStartMs: 3_600_000, timeToLiveMs: 7_200_000 }));
    const senders = Promise.all(Array.from({ length: SENDERS }, send));
    const continued = until(async () => expect((await listEndedRuns(group)).length).toBeGreaterThanOrEqual(1), {
      timeoutMs: 240_000,
    });
    try {
      await Promise.race([continued, senders]);
    } finally {
      stop.abort();
      await senders;
    }
    for (const length of await listEndedRuns(group)) expect(length).toBeLessThan(MAX_EVENTS);
    const waiting = Math.floor(last / 3);
    await until(async () => expect(await world.getStatus(group)).toMatchObject({ waiting }));
  }, 400_000);

  it('keeps the slot of a runner that is being started, even if a health check reports it as vanished', async () => {
    const group = `starting-${randomUUID().slice(0, 8)}`;
    const mayStart = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<string[]>();
    world.edges(group).beforeStart = async (runners) => {
      asked.resolve(runners);
      await mayStart.promise;
    };
    try {
      await world.start(aGroup(group, { max: 1 }));
      await world.signal(group, [{ type: 'job', job: job(1, 'queued') }]);
      const runners = await asked.promise;
      const handle = world.client.workflow.getHandle(dispatcherWorkflowId(group));
      expect(await handle.query<Roster>(DISPATCHER_ROSTER)).toMatchObject({ slots: [], waiting: [{ jobId: 1 }] });
      const vanished = { reason: 'vanished', ranJob: false, failed: false, detail: '' } as const;
      await world.signal(
        group,
        runners.map((runner) => ({ type: 'gone', outcome: { ...vanished, runner } })),
      );
      expect(await world.getStatus(group)).toMatchObject({ ready: 1 });
      mayStart.resolve();
      await until(() => expect(world.edges(group).created).toEqual(runners));
      const slots = runners.map((runner) => ({ runner, busy: false }));
      await until(async () => expect(await handle.query<Roster>(DISPATCHER_ROSTER)).toMatchObject({ slots }));
      // Once it was started, it may vanish: then another one replaces it.
      await world.signal(
        group,
        runners.map((runner) => ({ type: 'gone', outcome: { ...vanished, runner } })),
      );
      await until(() => expect(world.edges(group).created).toHaveLength(2));
    } finally {
      mayStart.resolve();
    }
  });
});
