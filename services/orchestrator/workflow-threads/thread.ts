import { createRequire } from 'node:module';

/**
 * The file of a worker's workflow threads: the SDK's own, without the stack trace that it takes for every promise of every
 * workflow, for the Call Stack tab. The SDK does the same where Node.js has no promise hooks.
 */
const load = createRequire(import.meta.url);

const { GlobalHandlers }: { GlobalHandlers: { prototype: { setPromiseHook: () => void } } } = load(
  '@temporalio/worker/lib/workflow/vm-shared.js',
);
GlobalHandlers.prototype.setPromiseHook = () => undefined;
load('@temporalio/worker/lib/workflow/workflow-worker-thread.js');
