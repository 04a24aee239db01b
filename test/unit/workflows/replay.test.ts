import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkflowBundle } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../../contracts/lib/log.ts';
import { useQuickWorkflowThreads } from '../../../services/orchestrator/workflow-threads/quick-threads.ts';
import { recordedHistories } from '../../support/histories.ts';

/** Changed workflow code must replay the histories of earlier versions: runners live for hours, dispatchers for ever. */
describe('the workflow code', () => {
  let workflowBundle: WorkflowBundle;

  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    const workflowsPath = fileURLToPath(new URL('../../../workflows/index.ts', import.meta.url));
    const logger = new DefaultLogger('ERROR');
    workflowBundle = await bundleWorkflowCode({ workflowsPath, preloadModules: [workflowsPath], logger });
  }, 60_000);

  async function expectReplays(debugMode: boolean): Promise<void> {
    const failed: string[] = [];
    let replayed = 0;
    const options = { workflowBundle, debugMode };
    for await (const { workflowId, error } of Worker.runReplayHistories(options, recordedHistories())) {
      replayed += 1;
      if (error) failed.push(`${workflowId}: ${error.message}`);
    }
    expect(failed).toEqual([]);
    expect(replayed).toBeGreaterThanOrEqual(10);
  }

  it('replays every recorded history', async () => {
    await expectReplays(true);
  }, 300_000);

  it('replays every recorded history in the quick threads of the orchestrator', async () => {
    expect(useQuickWorkflowThreads(createLogger('test', 'silent'))).toBe(true);
    // Only debug mode has no threads.
    await expectReplays(false);
  }, 300_000);
});
