import { ApplicationFailure, condition, defineSignal, isCancellation, setHandler } from '@temporalio/workflow';

export const go = defineSignal('go');

/** Succeeds after {@link go}; cleans up when it is cancelled. */
export async function lasting(): Promise<string> {
  let over = false;
  setHandler(go, () => {
    over = true;
  });
  try {
    await condition(() => over);
    return 'went';
  } catch (error) {
    if (isCancellation(error)) over = true;
    throw error;
  }
}

export async function greeting(name: string): Promise<string> {
  return `hello from ${name}`;
}

export async function failing(): Promise<void> {
  throw ApplicationFailure.nonRetryable('nothing to be done');
}
