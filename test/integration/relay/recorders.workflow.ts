import { condition, defineQuery, defineSignal, setHandler } from '@temporalio/workflow';
import { DISPATCHER_EVENTS } from '../../../contracts/workflows/dispatcher.ts';
import { RUNNER_EVENTS } from '../../../contracts/workflows/runner.ts';

/** The signals that a recording workflow received: one entry for each, in order. */
export const recorded = defineQuery<unknown[][]>('recorded');
export const end = defineSignal('end');

/** Replaces the dispatcher: records the signals that it receives until the signal `end`. */
async function recordDispatcher(): Promise<void> {
  await record(DISPATCHER_EVENTS);
}

/** Replaces a runner. */
async function recordRunner(): Promise<void> {
  await record(RUNNER_EVENTS);
}

async function record(signal: string): Promise<void> {
  const received: unknown[][] = [];
  let ended = false;
  setHandler(defineSignal<[unknown[]]>(signal), (events) => void received.push(events));
  setHandler(recorded, () => received);
  setHandler(end, () => void (ended = true));
  await condition(() => ended);
}

export { recordDispatcher as dispatcher, recordRunner as runner };
