import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { delegationWorkflowId, proxiesWorkflowId } from '../../../contracts/workflows/delegation.ts';
import { SEARCH_ATTRIBUTES } from '../../../contracts/workflows/search-attributes.ts';
import { recordHistory } from '../../support/histories.ts';
import { until } from '../../support/until.ts';
import { startDelegationWorld, type DelegationWorld } from './world.ts';

/** Delegations whose workflows begin anew every few events, as those do after a day that wait for something. */

const HISTORY_LENGTH = 20;

let world: DelegationWorld;
beforeAll(async () => {
  world = await startDelegationWorld({ historyLength: HISTORY_LENGTH });
}, 180_000);
afterAll(() => world?.cluster.stop());

/** Waits for that attempt of a run's job, counted from 1. */
async function waitForAttempt(run: number, attempt: number): Promise<number> {
  return await until(async () => {
    const found = (await world.findAttempts(run))[attempt - 1];
    if (found === undefined) throw new Error(`run ${run} has no attempt ${attempt} yet`);
    return found.id;
  });
}

/** The ids of a workflow's runs that continued as new. */
async function listEarlierRuns(workflowId: string): Promise<string[]> {
  const runs: string[] = [];
  const query = `WorkflowId = '${workflowId}' AND ExecutionStatus = 'ContinuedAsNew'`;
  for await (const { runId } of world.cluster.client.workflow.list({ query })) runs.push(runId);
  return runs;
}

describe('a delegation whose history is full', () => {
  it('begins anew and knows all that it knew: its job runs once more, and who waits for it gets its result', async () => {
    const { client, installation } = world.cluster;
    // No ephemeral runner takes it: the test decides who does.
    const [job = 0] = await world.sim.jobs({ labels: ['unserved'] });
    const taken = await world.take(job, 'proxy-a');
    const { id } = await world.delegate(taken, 'proxy-a');
    const workflowId = delegationWorkflowId(id);
    const handle = await until(async () => {
      const { runId } = await client.workflow.getHandle(workflowId).describe();
      return client.workflow.getHandle(workflowId, runId);
    });
    const result = handle.result();
    await world.sim.complete(job, 'failure');
    // A proxy takes it once more, and then the runner.
    const second = await waitForAttempt(taken.runId, 2);
    await world.handOver(await world.take(second, 'proxy-b'), 'proxy-b', 2);
    const third = await waitForAttempt(taken.runId, 3);
    const runner = `${installation}-ephemeral-00000000`;
    await world.sim.start(third, runner);
    await until(async () => expect(await world.get(id, 'proxy-a')).toMatchObject({ status: 'running', runner }));
    await world.sim.complete(third);

    expect(await result).toMatchObject({ status: 'completed', conclusion: 'success' });
    expect(await world.findAttempts(taken.runId)).toHaveLength(3);
    await until(async () => {
      expect(await world.get(id, 'proxy-a')).toMatchObject({ status: 'completed', runner, attempt: 3 });
    });
    await until(async () => expect(await listEarlierRuns(workflowId)).not.toHaveLength(0));
    const { typedSearchAttributes } = await client.workflow.getHandle(workflowId).describe();
    expect(typedSearchAttributes.get(SEARCH_ATTRIBUTES.phase)).toBe('completed');
    expect(typedSearchAttributes.get(SEARCH_ATTRIBUTES.repository)).toBe('acme/hello');
    await until(async () => expect(await world.cluster.dispatcher('ephemeral')).toMatchObject({ waiting: 0 }));
    await client.workflow.getHandle(proxiesWorkflowId('ephemeral')).result();
    if (process.env['BATON_RECORD'] !== undefined) await recordHistory(client, { workflowId }, 'delegation-anew');
  });
});
