import { encode, type Bus } from '../../../contracts/lib/nats.ts';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';

/**
 * Answers requests on a subject, shared with every other orchestrator, until `stop` fires; then finishes those in hand. An
 * error is answered as `{ok: false, code, message}`.
 *
 * @param answer of a request's body; parses it
 */
export async function answerRequests(
  { bus, log, subject }: { bus: Bus; log: Logger; subject: string },
  answer: (data: Uint8Array) => Promise<unknown>,
  stop: AbortSignal,
): Promise<void> {
  const subscription = bus.subscribe(subject, { queue: 'orchestrator' });
  const drain = (): void => void subscription.drain();
  stop.addEventListener('abort', drain);
  if (stop.aborted) drain();
  const underWay = new Set<Promise<void>>();
  for await (const message of subscription) {
    const work = answer(message.data)
      .catch((error: unknown) => {
        const code = error instanceof BatonError ? error.code : 'INTERNAL';
        log.warn({ subject, code, reason: messageOf(error) }, 'a request was not granted');
        return { ok: false, code, message: messageOf(error) };
      })
      .then((reply) => void message.respond(encode(reply)))
      .finally(() => underWay.delete(work));
    underWay.add(work);
  }
  await Promise.all(underWay);
}
