import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker as Thread } from 'node:worker_threads';
import type { ThreadedVMWorkflowCreator, WorkerThreadClient } from '@temporalio/worker/lib/workflow/threaded-vm.js';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { createWatchedClient } from './watched-client.ts';

/** The version of the SDK whose internals this file was written and tested for. */
const KNOWN_SDK = '1.24.0';
/** With the value 1, this environment variable leaves the SDK as it is: with call stacks and with a time limit for each call. */
const STACKS = 'BATON_TEMPORAL_STACKS';

interface ThreadModule {
  ThreadedVMWorkflowCreator: typeof ThreadedVMWorkflowCreator;
  WorkerThreadClient: typeof WorkerThreadClient;
}

const load = createRequire(import.meta.url);

/**
 * Makes the workflow threads of all workers cheaper that this process creates afterwards. Call it once, before
 * `Worker.create`. The SDK sets a time limit each time it enters its sandbox, some 130 times in a runner's life, and Node.js
 * starts a thread for each (86 µs; without it, an entry takes 2 µs). It also takes a stack trace for each promise. No option
 * turns these off, and both together are half of the CPU time of all workflows. {@link createWatchedClient} watches the
 * thread instead of each entry.
 *
 * Changes only the SDK of version {@link KNOWN_SDK}. Any other version works unchanged.
 *
 * @returns whether the SDK was changed
 */
export function useQuickWorkflowThreads(log: Logger, version: string = readVersion()): boolean {
  if (process.env[STACKS] === '1') {
    log.info(`${STACKS}=1: workflows keep their call stacks and need more CPU time`);
    return false;
  }
  if (version !== KNOWN_SDK) {
    log.warn({ version, known: KNOWN_SDK }, 'unknown version of the Temporal SDK: workflows need more CPU time');
    return false;
  }
  try {
    changeThreads(log);
    return true;
  } catch (error) {
    log.warn({ reason: getErrorMessage(error) }, 'the Temporal SDK has changed: workflows need more CPU time');
    return false;
  }
}

function readVersion(): string {
  try {
    const { version }: { version: string } = load('@temporalio/worker/package.json');
    return version;
  } catch (error) {
    return getErrorMessage(error);
  }
}

function changeThreads(log: Logger): void {
  const sdk: ThreadModule = load('@temporalio/worker/lib/workflow/threaded-vm.js');
  const { ThreadedVMWorkflowCreator: Creator } = sdk;
  const WatchedClient = createWatchedClient(sdk.WorkerThreadClient, log);
  const file = fileURLToPath(new URL('thread.ts', import.meta.url));
  // As the SDK's own, with another file for the threads and without its time limit.
  Creator.create = async ({ threadPoolSize, workflowBundle, reuseV8Context, ...rest }) => {
    const { registeredActivityNames, logger, patchActivationCallback } = rest;
    const clients = Array.from(
      { length: threadPoolSize },
      () => new WatchedClient(new Thread(file), logger, patchActivationCallback),
    );
    const starting: { send(input: object): Promise<unknown> }[] = clients;
    const hasPatchActivationCallback = patchActivationCallback !== undefined;
    const input = { type: 'init', workflowBundle, reuseV8Context, registeredActivityNames, hasPatchActivationCallback };
    await Promise.all(starting.map((client) => client.send(input)));
    return new Creator(clients);
  };
}
