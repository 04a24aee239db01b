import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { createLogger } from '../../../contracts/lib/log.ts';
import { createWorkerLogger } from '../../shared/worker-log.ts';

/** A program: bundles all workflow code, and sends it to the process that started it. */
process.on('disconnect', () => process.exit(1));
const workflowsPath = fileURLToPath(new URL('../../../workflows/index.ts', import.meta.url));
const { code } = await bundleWorkflowCode({
  workflowsPath,
  // Loaded once, not once per workflow: they keep no state of their own, and the SDK freezes them.
  preloadModules: [workflowsPath],
  logger: createWorkerLogger(createLogger('orchestrator')),
});
process.send?.(code, () => process.exit(0));
