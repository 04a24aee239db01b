import { ScheduleNotFoundError, WorkflowNotFoundError } from '@temporalio/client';

/** Whether Temporal itself answered that the workflow or schedule does not exist, or that the workflow is closed. */
export function isMissing(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || error instanceof ScheduleNotFoundError;
}

/** Waits for a call to a workflow or schedule; ignores that it is closed or does not exist. */
export async function ignoreMissing(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
