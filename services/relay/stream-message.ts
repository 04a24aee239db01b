import { nanos } from '../../contracts/lib/nats.ts';
import type { Msg } from 'nats';

/**
 * A message of a JetStream stream that a durable consumer pulled, with the protocol's acknowledgements. The client
 * library makes such messages only for its own consumers, which can be drained only by closing the connection
 * ({@link ./puller.ts}). Source: https://docs.nats.io/reference/reference-protocols/nats_api_reference
 */
export class StreamMessage {
  readonly #message: Msg;
  readonly stream: string;
  /** Its sequence number in the stream. */
  readonly sequence: number;
  /** How often it was delivered, including this time. */
  readonly deliveries: number;

  constructor(message: Msg, stream: string, sequence: number, deliveries: number) {
    this.#message = message;
    this.stream = stream;
    this.sequence = sequence;
    this.deliveries = deliveries;
  }

  /** Undefined for a message that is not of a stream, such as the status of a pull request. */
  static from(message: Msg): StreamMessage | undefined {
    const tokens = message.reply?.split('.') ?? [];
    if (tokens[0] !== '$JS' || tokens[1] !== 'ACK') return undefined;
    // $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.…, or with domain and account before the stream.
    const [stream = '', , deliveries, sequence] = tokens.slice(tokens.length > 9 ? 4 : 2);
    return new StreamMessage(message, stream, Number(sequence), Number(deliveries));
  }

  get subject(): string {
    return this.#message.subject;
  }

  get data(): Uint8Array {
    return this.#message.data;
  }

  /** The same on redelivery and, unlike a message id, not chosen by the sender: `<stream>.<sequence>`. */
  get streamPosition(): string {
    return `${this.stream}.${this.sequence}`;
  }

  header(name: string): string | undefined {
    return this.#message.headers?.get(name) || undefined;
  }

  /** The message is handled: the stream drops it. */
  ack(): void {
    this.#message.respond(ACK);
  }

  /** Returns the message to the stream, which delivers it to any relay after `delayMs`. */
  retry(delayMs: number): void {
    const nak = delayMs > 0 ? `-NAK {"delay": ${nanos(delayMs)}}` : '-NAK';
    this.#message.respond(text.encode(nak));
  }

  /** Handling still goes on: restarts the stream's acknowledgement timeout. */
  working(): void {
    this.#message.respond(PROGRESS);
  }
}

const text = new TextEncoder();
const ACK = text.encode('+ACK');
const PROGRESS = text.encode('+WPI');
