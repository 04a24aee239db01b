import { workflowInfo } from '@temporalio/workflow';

/** One signal may carry 100 events of ours. At this length, the history is well below the server's own limit. */
const MAX_HISTORY_EVENTS = 2000;

/** Whether a long-running workflow should continue as new. */
export function historyIsFull(): boolean {
  const { historyLength, continueAsNewSuggested } = workflowInfo();
  return continueAsNewSuggested || historyLength > MAX_HISTORY_EVENTS;
}
