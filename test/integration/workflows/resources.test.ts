import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  REGISTER_RUNNER,
  RESOURCES_MEMO,
  type RunnerEvent,
  runnerWorkflowId,
} from '../../../contracts/workflows/runner.ts';
import type { RunnerOutcome } from '../../../contracts/workflows/phase.ts';
import { aGroup } from '../../support/a-group.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';
import { recordHistories } from '../../support/histories.ts';

const GIB = 1024 ** 3;
const GROUP = 'measured';
let world: WorkflowWorld;

beforeAll(async () => {
  world = await startWorkflowWorld();
});
afterAll(async () => {
  if (process.env['BATON_RECORD'] !== undefined) await recordHistories(world.client);
  await world.stop();
});

describe('the resource use of a job', () => {
  it('is shown by its runner, as the wrapper reported it first', async () => {
    await world.start(aGroup(GROUP, { min: 1, max: 1 }));
    const runner = await world.firstRunner(GROUP);
    const base = () => ({ version: 1, id: randomUUID(), runner, at: new Date().toISOString() }) as const;
    const job = { runId: 7, runAttempt: 1, repository: 'acme/hello', workflow: 'ci', jobKey: 'build' };
    const used = (peak: number): RunnerEvent => ({
      type: 'signal',
      signal: {
        ...base(),
        kind: 'resources',
        resources: {
          seconds: 90,
          cpu: { cores: 2, average: 0.75, peak },
          memory: { total: 8 * GIB, average: GIB, peak: 2 * GIB },
          disk: { read: 0, written: 4096 },
          network: { received: 1, sent: 2 },
        },
      },
    });
    const handle = world.client.workflow.getHandle(runnerWorkflowId(GROUP, runner));
    await handle.executeUpdate<void, []>(REGISTER_RUNNER);
    await world.signalRunner(GROUP, runner, [
      { type: 'signal', signal: { ...base(), kind: 'started', job } },
      used(1.5),
      used(2),
      { type: 'signal', signal: { ...base(), kind: 'completed', job } },
      { type: 'signal', signal: { ...base(), kind: 'exited', code: 0, signal: null, logTail: '' } },
    ]);
    const outcome: RunnerOutcome = await handle.result();
    expect(outcome).toMatchObject({ reason: 'job-completed', ranJob: true });
    const { memo } = await handle.describe();
    expect(memo).toMatchObject({
      [RESOURCES_MEMO]: '0.8 of 2 cores (peak 1.5), 2.0 GiB of 8.0 GiB (peak), over 1m 30s',
    });
    const shown = JSON.stringify(await handle.query('__temporal_workflow_metadata'));
    expect(shown).toContain('| **CPU:** | 0.75 of 2 cores, peak 1.50 |');
    expect(shown).toContain('| **Memory:** | 1.0 GiB of 8.0 GiB, peak 2.0 GiB |');
  });
});
