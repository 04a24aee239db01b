import { headers, type MsgHdrs } from 'nats';
import { HEADERS } from '../../contracts/messages/streams.ts';
import type { ErrorCode } from '../../contracts/errors.ts';

const LONGEST_REASON = 1000;

/**
 * What a dead letter says of itself beside its body.
 *
 * @param reason a sentence for a person
 * @param subject where the message came, or would have come
 */
export function deadLetterHeaders(code: ErrorCode, reason: string, subject: string): MsgHdrs {
  const meta = headers();
  meta.set(HEADERS.reasonCode, code);
  meta.set(HEADERS.reason, oneLine(reason));
  meta.set(HEADERS.originalSubject, subject);
  return meta;
}

/** Header values are one line. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\t]+/g, ' ').slice(0, LONGEST_REASON);
}
