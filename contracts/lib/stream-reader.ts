import { createInbox, type Msg } from 'nats';
import { BatonError } from '../errors.ts';
import type { StreamPlan } from '../messages/streams.ts';
import { encode, getInboxPrefix, type Bus } from './nats.ts';

/** Of one request. The server sends them at once: they must fit into what it buffers for a client. */
const BATCH = 256;
const BATCH_BYTES = 4 * 1024 ** 2;
const TIMEOUT_MS = 5000;

/** A message of a stream, as the stream stores it. */
export interface StoredMessage {
  subject: string;
  sequence: number;
  data: Uint8Array;
}

/**
 * Reads the messages that a stream has now, oldest first, without a consumer: whoever may create one may have the server publish
 * the stream's messages on any subject. Source: https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-31.md
 *
 * @param stream one that allows direct reads: all of `STREAMS` do
 * @throws BatonError BUS_UNAVAILABLE
 */
export async function* readStream(
  bus: Bus,
  stream: Pick<StreamPlan, 'name'>,
  { subject = '>', since }: { subject?: string; since?: Date | undefined } = {},
): AsyncGenerator<StoredMessage> {
  let from: Record<string, unknown> = since === undefined ? { seq: 1 } : { start_time: since.toISOString() };
  for (;;) {
    const request = { ...from, next_by_subj: subject, batch: BATCH, max_bytes: BATCH_BYTES };
    const { messages, pending } = await readBatch(bus, stream.name, request);
    yield* messages;
    const last = messages.at(-1);
    if (last === undefined || pending === 0) return;
    from = { seq: last.sequence + 1 };
  }
}

async function readBatch(
  bus: Bus,
  stream: string,
  request: Record<string, unknown>,
): Promise<{ messages: StoredMessage[]; pending: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ messages: StoredMessage[]; pending: number }>();
  const messages: StoredMessage[] = [];
  const inbox = createInbox(getInboxPrefix(bus));
  const fail = (reason: string): void =>
    reject(new BatonError('BUS_UNAVAILABLE', `reading stream ${stream}: ${reason}`));
  const timer = setTimeout(() => fail(`no answer within ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS);
  const receive = (message: Msg): void => {
    const { code = 0, description = '' } = message.headers ?? {};
    // 204: the end of the batch. 404: no such message (any more).
    if (code === 204) resolve({ messages, pending: Number(readHeader(message, 'Nats-Num-Pending')) });
    else if (code === 404) resolve({ messages, pending: 0 });
    else if (code !== 0) fail(`${code} ${description}`);
    else {
      timer.refresh();
      const sequence = Number(readHeader(message, 'Nats-Sequence'));
      messages.push({ subject: readHeader(message, 'Nats-Subject'), sequence, data: message.data });
    }
  };
  const subscription = bus.subscribe(inbox, {
    callback: (error, message) => (error ? fail(error.message) : receive(message)),
  });
  try {
    bus.publish(`$JS.API.DIRECT.GET.${stream}`, encode(request), { reply: inbox });
    return await promise;
  } finally {
    clearTimeout(timer);
    subscription.unsubscribe();
  }
}

function readHeader(message: Msg, name: string): string {
  return message.headers?.get(name) ?? '';
}
