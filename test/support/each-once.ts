import type { JsMsg } from 'nats';

/**
 * A consumer's messages, each acknowledged and passed on once. A server that was halted may not have recorded the last
 * acknowledgements: it delivers those messages anew, which are no second messages of the stream.
 */
export async function* eachOnce(messages: AsyncIterable<JsMsg>): AsyncGenerator<JsMsg, undefined> {
  let last = 0;
  for await (const message of messages) {
    message.ack();
    const { streamSequence } = message.info;
    if (streamSequence <= last) continue;
    last = streamSequence;
    yield message;
  }
}
