import { randomUUID } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runnerWorkflowId, type RunnerEvent } from '../../../contracts/workflows/runner.ts';
import { createWorkflowGate } from '../../../services/orchestrator/requests/registration/gate.ts';
import { aGroup, freshName } from '../../support/a-group.ts';
import { aJob } from '../../support/a-job.ts';
import { recordHistories } from '../../support/histories.ts';
import { until } from '../../support/until.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';

const JOB_ID = 4711;

let world: WorkflowWorld;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(async () => {
  if (process.env['BATON_RECORD'] !== undefined) await recordHistories(world.client);
  await world.stop();
});

/** A group with one queued job and the runner that was made for it. */
async function startRunner(name: string): Promise<{ group: string; runner: string }> {
  const group = freshName(name);
  await world.start(aGroup(group));
  await world.signal(group, [{ type: 'job', job: aJob('queued', JOB_ID) }]);
  return { group, runner: await world.firstRunner(group) };
}

const getHandle = (group: string, runner: string) => world.client.workflow.getHandle(runnerWorkflowId(group, runner));

async function countEvents(group: string, runner: string): Promise<number> {
  const { events } = await getHandle(group, runner).fetchHistory();
  return events?.length ?? 0;
}

function hook(runner: string, kind: 'started' | 'completed'): RunnerEvent {
  const base = { version: 1, id: randomUUID(), runner, at: new Date().toISOString() } as const;
  const job = { runId: JOB_ID, runAttempt: 1, repository: 'acme/hello', workflow: 'ci', jobKey: 'build' };
  return { type: 'signal', signal: { ...base, kind, job } };
}

function exited(runner: string, code: number): RunnerEvent {
  const base = { version: 1, id: randomUUID(), runner, at: new Date().toISOString() } as const;
  return { type: 'signal', signal: { ...base, kind: 'exited', code, signal: null, logTail: '' } };
}

describe('a runner’s registration', () => {
  it('is permitted until the runner is online, but not afterwards; asking again adds nothing to its history', async () => {
    const { group, runner } = await startRunner('gate');
    const gate = createWorkflowGate(world.client);
    await gate.check(group, runner, false);
    const before = await countEvents(group, runner);
    for (let ask = 0; ask < 3; ask++) await gate.check(group, runner, true);
    expect(await countEvents(group, runner)).toBe(before);
    const base = { version: 1, id: randomUUID(), runner, at: new Date().toISOString() } as const;
    const online = { ...base, kind: 'online', agentVersion: '1', host: 'h' } as const;
    await world.signalRunner(group, runner, [{ type: 'signal', signal: online }]);
    for (const again of [true, false]) {
      await expect(gate.check(group, runner, again)).rejects.toMatchObject({ code: 'REGISTRATION_REFUSED' });
    }
    const refused = await countEvents(group, runner);
    await expect(gate.check(group, runner, false)).rejects.toMatchObject({ code: 'REGISTRATION_REFUSED' });
    // A job that asks again and again cannot fill the history.
    expect(await countEvents(group, runner)).toBe(refused);
    await getHandle(group, runner).cancel();
    await expect(getHandle(group, runner).result()).rejects.toThrow(WorkflowFailedError);
    await expect(gate.check(group, runner, true)).rejects.toMatchObject({ code: 'REGISTRATION_REFUSED' });
    await expect(gate.check(group, runner, false)).rejects.toMatchObject({ code: 'RUNNER_UNKNOWN' });
  });

  it('is removed by Baton when the forge’s webhook about the completed job is late', async () => {
    const { group, runner } = await startRunner('late-webhook');
    await createWorkflowGate(world.client).check(group, runner, false);
    await world.signalRunner(group, runner, [hook(runner, 'completed'), exited(runner, 0)]);
    expect(await getHandle(group, runner).result()).toMatchObject({ reason: 'job-completed' });
    expect(world.edges(group).unregistered).toEqual([runner]);
  });

  it('is not looked for when the webhook comes after the program’s exit, even if that overtook the job’s hooks', async () => {
    const { group, runner } = await startRunner('overtaken');
    await createWorkflowGate(world.client).check(group, runner, false);
    await world.signalRunner(group, runner, [exited(runner, 0)]);
    await world.signalRunner(group, runner, [hook(runner, 'completed')]);
    await world.signalRunner(group, runner, [{ type: 'job', job: aJob('completed', JOB_ID, { runnerName: runner }) }]);
    expect(await getHandle(group, runner).result()).toMatchObject({ reason: 'job-completed' });
    expect(world.edges(group).unregistered).toEqual([]);
  });

  it('keeps its instance while the forge calls it busy, even if its program crashed', async () => {
    const { group, runner } = await startRunner('doubt');
    let busy = true;
    let asked = 0;
    world.edges(group).unregister = () => {
      asked += 1;
      return busy ? 'busy' : 'absent';
    };
    await createWorkflowGate(world.client).check(group, runner, false);
    await world.signalRunner(group, runner, [hook(runner, 'started'), exited(runner, 1)]);
    await until(() => expect(asked).toBe(1));
    expect(world.edges(group).deleted).toEqual([]);
    busy = false;
    await world.signalRunner(group, runner, [{ type: 'job', job: aJob('completed', JOB_ID, { runnerName: runner }) }]);
    expect(await getHandle(group, runner).result()).toMatchObject({ reason: 'job-completed' });
    expect(world.edges(group).unregistered).toEqual([runner]);
  });
});
