import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDelegatedJob } from '../../../contracts/messages/delegation.ts';
import { DELEGATION_WORKFLOW, delegationWorkflowId } from '../../../contracts/workflows/delegation.ts';
import { REGISTER_RUNNER, runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import { TASK_QUEUE } from '../../../contracts/workflows/task-queues.ts';
import { aGroup } from '../../support/a-group.ts';
import { aJob } from '../../support/a-job.ts';
import { until } from '../../support/until.ts';
import { startWorkflowWorld, type FakeEdges, type WorkflowWorld } from '../../support/workflows.ts';

/** Slots of each worker. */
const SLOTS = 3;
/** Runners that retire, and delegations that begin: more than any worker has slots, and than a dispatcher asks to retire at once. */
const MANY = 8 * SLOTS;

const outage = Promise.withResolvers<void>();
let world: WorkflowWorld;

beforeAll(async () => {
  world = await startWorkflowWorld({ slots: SLOTS, outage: outage.promise });
});
afterAll(async () => {
  outage.resolve();
  await world.stop();
});

/** Starts delegations, which look for their job on the forge and record their steps on the bus. */
async function delegate(count: number): Promise<void> {
  const context = {
    jobId: 'build',
    runId: '1',
    runAttempt: 1,
    repository: 'acme/hello',
    workflow: 'ci',
    runnerName: 'proxy-a',
    labels: ['team'],
    trackingId: 't',
    environment: {},
    matrix: null,
    needs: null,
  };
  const scope = { organization: 'acme' };
  const asOf = new Date().toISOString();
  const proxies = { group: 'calm', scope, names: ['proxy-a'], labels: ['team'], asOf };
  for (let index = 0; index < count; index++) {
    const id = randomUUID();
    const job = createDelegatedJob(id, context, new Date().toISOString());
    await world.client.workflow.start(DELEGATION_WORKFLOW, {
      workflowId: delegationWorkflowId(id),
      taskQueue: TASK_QUEUE.orchestrator,
      args: [{ job, proxies, waitForRunnerMs: 60_000 }],
    });
  }
}

describe('the start of a runner', () => {
  it('waits for no retirement, removal or delegation, although there are more of them than slots and neither forge nor bus answers', async () => {
    const { client } = world;
    const edges = (group: string): FakeEdges => world.edges(group);
    await world.start(aGroup('drained', { min: MANY, max: MANY }));
    const idle = await until(() => {
      expect(edges('drained').created).toHaveLength(MANY);
      return edges('drained').created;
    });
    for (const runner of idle) {
      await client.workflow.getHandle(runnerWorkflowId('drained', runner)).executeUpdate(REGISTER_RUNNER);
    }
    const asked: string[] = [];
    edges('drained').unregister = (runner) => {
      asked.push(runner);
      return 'removed';
    };
    // Each asks its dispatcher whether it may, and then asks the forge to remove its registration.
    await world.signal('drained', [{ type: 'control', mode: 'draining' }]);
    await until(() => expect(asked).toHaveLength(SLOTS));
    await delegate(MANY);

    await world.start(aGroup('urgent', { max: 1 }));
    await world.signal('urgent', [{ type: 'job', job: aJob('queued', 1) }]);
    await world.firstRunner('urgent');
    expect(edges('drained').unregistered).toEqual([]);

    // What waited goes on as soon as the forge answers.
    outage.resolve();
    await until(() => expect(new Set(edges('drained').unregistered)).toEqual(new Set(idle)));
  });
});
