import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DISPATCHER_ROSTER,
  type DispatcherEvent,
  dispatcherWorkflowId,
  type Roster,
} from '../../../contracts/workflows/dispatcher.ts';
import type { JobAction } from '../../../contracts/messages/job-event.ts';
import { aGroup } from '../../support/a-group.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';
import { aJob } from '../../support/a-job.ts';
import { until } from '../../support/until.ts';

/** How many jobs wait at once in a group with far too few runners. */
const CROWD = 15_000;
const GROUP = 'huge';

let world: WorkflowWorld;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(async () => {
  await world?.stop();
});

const toEvent = (action: JobAction, jobId: number): DispatcherEvent => ({
  type: 'job',
  job: aJob(action, jobId, { private: false }),
});

describe('a dispatcher with many jobs', () => {
  it(
    'continues as new with more state than Temporal accepts in one uncompressed payload',
    { timeout: 240_000 },
    async () => {
      // Its runner waits for longer than the crowd takes to come.
      await world.start(aGroup(GROUP, { max: 1, timeToStartMs: 3_600_000, timeToLiveMs: 36_000_000 }));
      for (let first = 0; first < CROWD; first += 500) {
        const queued = Array.from({ length: 500 }, (_, index) => toEvent('queued', first + index + 1));
        await world.signal(GROUP, queued);
      }
      const handle = world.client.workflow.getHandle(dispatcherWorkflowId(GROUP));
      const { runId } = await handle.describe();
      const noise = toEvent('completed', CROWD + 1);
      // Fills its history, then stops: while signals keep arriving, it would continue as new again and again.
      for (let batch = 0; batch < 45; batch++) {
        await Promise.all(Array.from({ length: 50 }, () => world.signal(GROUP, [noise])));
      }
      await until(async () => expect((await handle.describe()).runId).not.toBe(runId), { timeoutMs: 150_000 });
      const roster = await handle.query<Roster>(DISPATCHER_ROSTER);
      expect(roster.waiting).toHaveLength(CROWD);
      // The state that it carries over also has the ids of deliveries.
      expect(JSON.stringify(roster).length).toBeGreaterThan(1024 ** 2);
      expect(await world.getStatus(GROUP)).toMatchObject({ waiting: CROWD, ready: 1 });
    },
  );
});
