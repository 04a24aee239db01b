import { workflowInfo } from '@temporalio/workflow';

/** One signal may bring 100 items; this many events, and the history is well below the server's own suggestion. */
const HISTORY_EVENTS = 2000;

/** Whether a workflow that runs for ever is to begin its history anew. */
export function historyIsFull(): boolean {
  const { historyLength, continueAsNewSuggested } = workflowInfo();
  return continueAsNewSuggested || historyLength > HISTORY_EVENTS;
}
