import type { Client } from '@temporalio/client';
import { MAY_RETIRE_RUNNERS, dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import { isMissing } from '../lib/missing.ts';

/** How long a dispatcher may take to answer. Afterwards the activity asks again. */
const ANSWER_TIMEOUT_MS = 30_000;

/** Asks a group's dispatcher which of these runners may retire. @returns their names */
export type AskRetirement = (group: string, runners: string[]) => Promise<ReadonlySet<string>>;

/** Sends one update per call: it waits for the dispatcher. All may retire where the group was removed. */
export function createRetirementQuestion(client: Client): AskRetirement {
  return async (group, runners) => {
    const handle = client.workflow.getHandle(dispatcherWorkflowId(group));
    try {
      const may = await client.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
        handle.executeUpdate<string[], [string[]]>(MAY_RETIRE_RUNNERS, { args: [runners] }),
      );
      return new Set(may);
    } catch (error) {
      if (isMissing(error)) return new Set(runners);
      throw error;
    }
  };
}
