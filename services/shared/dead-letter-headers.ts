import { headers, type MsgHdrs } from 'nats';
import { HEADERS } from '../../contracts/messages/streams.ts';
import type { ErrorCode } from '../../contracts/errors.ts';

const MAX_REASON_LENGTH = 1000;

/**
 * The headers of a dead letter.
 *
 * @param reason one sentence
 * @param subject on which the message arrived, or would have arrived
 */
export function createDeadLetterHeaders(code: ErrorCode, reason: string, subject: string): MsgHdrs {
  const meta = headers();
  meta.set(HEADERS.reasonCode, code);
  meta.set(HEADERS.reason, toHeaderValue(reason));
  meta.set(HEADERS.originalSubject, subject);
  return meta;
}

/** A text as a header value: on one line, and shortened. */
export function toHeaderValue(text: string): string {
  return text.replaceAll(/[\r\n\t]+/g, ' ').slice(0, MAX_REASON_LENGTH);
}
