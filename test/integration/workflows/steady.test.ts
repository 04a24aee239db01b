import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DISPATCHER_ROSTER, dispatcherWorkflowId, type Roster } from '../../../contracts/workflows/dispatcher.ts';
import { type JobNotice } from '../../../contracts/workflows/job.ts';
import { aGroup } from '../../support/a-group.ts';
import { startActors, type ActorsFixture } from '../../support/workflows.ts';
import { aJob } from '../../support/a-job.ts';
import { until } from '../../support/until.ts';

/** Signals under way at any time. */
const SENDERS = 2;
/** So many, and a sender asks whether the dispatcher has taken them in: a slow machine must not fall behind for ever. */
const AHEAD = 300;
/** A run ends at 2,000 events, and what one task and a refused try to begin anew add. */
const EVENTS_MOST = 4000;

let actors: ActorsFixture;

beforeAll(async () => {
  actors = await startActors();
});
afterAll(() => actors.stop());

function job(jobId: number, action: 'queued' | 'completed'): JobNotice {
  return aJob(action, jobId, { conclusion: action === 'completed' ? 'success' : null });
}

/** The runs of a dispatcher that have begun anew, and how many events each took. */
async function ended(group: string): Promise<number[]> {
  const query = `WorkflowId = '${dispatcherWorkflowId(group)}' AND ExecutionStatus = 'ContinuedAsNew'`;
  const lengths: number[] = [];
  for await (const { historyLength } of actors.client.workflow.list({ query })) lengths.push(historyLength);
  return lengths;
}

describe('a dispatcher under steady load', () => {
  it('a dispatcher under signals that never pause begins its history anew, and loses none of them', async () => {
    // Of its own for each try.
    const group = `steady-${randomUUID().slice(0, 8)}`;
    const over = new AbortController();
    let last = 0;
    const send = async (): Promise<void> => {
      for (let sent = 1; !over.signal.aborted; sent++) {
        last += 1;
        const jobId = last;
        // Every third job stays: there is always one that needs a runner.
        const news = [job(jobId, 'queued'), ...(jobId % 3 === 0 ? [] : [job(jobId, 'completed')])];
        await actors.signal(
          group,
          news.map((notice) => ({ type: 'job', job: notice })),
        );
        if (sent % AHEAD === 0) await actors.getStatus(group);
      }
    };
    // And its place is free again at once, so that the dispatcher is never done with starting the next one.
    actors.outside(group).create = async (runner) => {
      const outcome = { runner, reason: 'job-completed', ranJob: true, failed: false, detail: '' } as const;
      if (!over.signal.aborted) await actors.signal(group, [{ type: 'gone', outcome }]);
    };
    await actors.start(aGroup(group, { max: 50, timeToStartMs: 3_600_000, timeToLiveMs: 7_200_000 }));
    const senders = Promise.all(Array.from({ length: SENDERS }, send));
    const anew = until(async () => expect((await ended(group)).length).toBeGreaterThanOrEqual(1), {
      timeoutMs: 240_000,
    });
    try {
      await Promise.race([anew, senders]);
    } finally {
      over.abort();
      await senders;
    }
    for (const length of await ended(group)) expect(length).toBeLessThan(EVENTS_MOST);
    const waiting = Math.floor(last / 3);
    await until(async () => expect(await actors.getStatus(group)).toMatchObject({ waiting }));
  }, 400_000);

  it('a place whose runner is only being started is not given away, whatever a health check makes of it', async () => {
    const group = `starting-${randomUUID().slice(0, 8)}`;
    const go = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<string[]>();
    actors.outside(group).beforeStart = async (runners) => {
      asked.resolve(runners);
      await go.promise;
    };
    try {
      await actors.start(aGroup(group, { max: 1 }));
      await actors.signal(group, [{ type: 'job', job: job(1, 'queued') }]);
      const runners = await asked.promise;
      const handle = actors.client.workflow.getHandle(dispatcherWorkflowId(group));
      expect(await handle.query<Roster>(DISPATCHER_ROSTER)).toMatchObject({ slots: [], waiting: [{ jobId: 1 }] });
      const vanished = { reason: 'vanished', ranJob: false, failed: false, detail: '' } as const;
      await actors.signal(
        group,
        runners.map((runner) => ({ type: 'gone', outcome: { ...vanished, runner } })),
      );
      expect(await actors.getStatus(group)).toMatchObject({ ready: 1 });
      go.resolve();
      await until(() => expect(actors.outside(group).created).toEqual(runners));
      const slots = runners.map((runner) => ({ runner, busy: false }));
      await until(async () => expect(await handle.query<Roster>(DISPATCHER_ROSTER)).toMatchObject({ slots }));
      // Once it is started, it may vanish: then another takes its place.
      await actors.signal(
        group,
        runners.map((runner) => ({ type: 'gone', outcome: { ...vanished, runner } })),
      );
      await until(() => expect(actors.outside(group).created).toHaveLength(2));
    } finally {
      go.resolve();
    }
  });
});
