import { createRequire } from 'node:module';
import { Worker as Thread } from 'node:worker_threads';
import { DefaultLogger } from '@temporalio/worker';
import type { WorkerThreadClient } from '@temporalio/worker/lib/workflow/threaded-vm.js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../../../../contracts/lib/log.ts';
import { useQuickWorkflowThreads } from '../../../../services/orchestrator/workflow-threads/quick-threads.ts';
import { createWatchedClient } from '../../../../services/orchestrator/workflow-threads/watched-client.ts';

const log = createLogger('test', 'silent');
const quiet = new DefaultLogger('ERROR');
const sdk: { WorkerThreadClient: typeof WorkerThreadClient } = createRequire(import.meta.url)(
  '@temporalio/worker/lib/workflow/threaded-vm.js',
);

describe('quick workflow threads', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  it('leave the SDK as it is where BATON_TEMPORAL_STACKS is 1', () => {
    vi.stubEnv('BATON_TEMPORAL_STACKS', '1');
    expect(useQuickWorkflowThreads(log)).toBe(false);
  });

  it('leave an SDK of another version as it is, with a warning', () => {
    const warn = vi.spyOn(log, 'warn');
    expect(useQuickWorkflowThreads(log, '1.25.0')).toBe(false);
    expect(warn.mock.calls[0]?.[0]).toEqual({ version: '1.25.0', known: '1.24.0' });
  });

  /**
   * After an upgrade of the SDK: compare its threaded-vm.js and workflow-worker-thread.js with what quick-threads.ts replaces.
   * replay.test.ts replays all histories in such threads.
   */
  it('know the installed SDK', () => {
    expect(useQuickWorkflowThreads(log)).toBe(true);
  });
});

describe('a watched workflow thread', () => {
  it('is ended when it does not return, and its request fails', async () => {
    const error = vi.spyOn(log, 'error');
    const Client = createWatchedClient(sdk.WorkerThreadClient, log, {
      intervalMs: 10,
      checksUntilLogged: 2,
      checksUntilEnded: 4,
    });
    const client = new Client(new Thread('for (;;) {}', { eval: true }), quiet);
    await expect(client.send({ type: 'dispose-workflow', runId: 'run-1' })).rejects.toThrow('exited');
    expect(error.mock.calls.map(([fields]) => fields)).toEqual([{ run: 'run-1', waiting: 1 }, { run: 'run-1' }]);
  });
});
