import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DISPATCHER_ROSTER,
  type DispatcherEvent,
  dispatcherWorkflowId,
  type Roster,
} from '../../../contracts/workflows/dispatcher.ts';
import type { JobAction } from '../../../contracts/messages/job-event.ts';
import { aGroup } from '../../support/a-group.ts';
import { startActors, type ActorsFixture } from '../../support/workflows.ts';
import { aJob } from '../../support/a-job.ts';
import { until } from '../../support/until.ts';

/** Jobs that wait at once, of a group that has far too few runners. */
const CROWD = 15_000;
const GROUP = 'huge';

let actors: ActorsFixture;

beforeAll(async () => {
  actors = await startActors();
});
afterAll(async () => {
  await actors?.stop();
});

const news = (action: JobAction, jobId: number): DispatcherEvent => ({
  type: 'job',
  job: aJob(action, jobId, { private: false }),
});

describe('a dispatcher with many jobs', () => {
  it('a dispatcher begins anew with more in it than Temporal takes in one payload', { timeout: 240_000 }, async () => {
    await actors.start(aGroup(GROUP, { max: 1 }));
    for (let first = 0; first < CROWD; first += 500) {
      const queued = Array.from({ length: 500 }, (_, index) => news('queued', first + index + 1));
      await actors.signal(GROUP, queued);
    }
    const handle = actors.client.workflow.getHandle(dispatcherWorkflowId(GROUP));
    const { runId } = await handle.describe();
    const noise = news('completed', CROWD + 1);
    // Enough for its history to be full, and then silence: while signals come all the time, it has to begin again and again.
    for (let batch = 0; batch < 45; batch++) {
      await Promise.all(Array.from({ length: 50 }, () => actors.signal(GROUP, [noise])));
    }
    await until(async () => expect((await handle.describe()).runId).not.toBe(runId), { timeoutMs: 150_000 });
    const roster = await handle.query<Roster>(DISPATCHER_ROSTER);
    expect(roster.waiting).toHaveLength(CROWD);
    // What it carries over has the deliveries besides.
    expect(JSON.stringify(roster).length).toBeGreaterThan(1024 ** 2);
    expect(await actors.getStatus(GROUP)).toMatchObject({ waiting: CROWD, ready: 1 });
  });
});
