import { BatonError } from '../../contracts/errors.ts';
import type { Answer } from './fault-proxy.ts';

export function jsonAnswer(status: number, body: unknown): Answer {
  return pageAnswer(status, status === 204 ? '' : JSON.stringify(body), 'application/json');
}

export function pageAnswer(status: number, body: string, type = 'text/html'): Answer {
  return { status, headers: { 'content-type': type }, body };
}

/** How the removal of an instance ended. */
export interface RemovalEnding {
  /** `gone`, or the code of its error, which says if it is not to be retried. */
  outcome: string;
  message: string;
}

/** @throws what is no BatonError; and when the instance is gone by its removal, but there by `isThere` */
export async function toRemovalEnding(removal: Promise<void>, isThere: () => boolean): Promise<RemovalEnding> {
  try {
    await removal;
  } catch (error) {
    if (!(error instanceof BatonError)) throw error;
    return { outcome: error.retryable ? error.code : `${error.code}, not retryable`, message: error.message };
  }
  if (isThere()) throw new Error('the instance is there after its removal');
  return { outcome: 'gone', message: '' };
}
