import { nanos } from '../../contracts/lib/nats.ts';
import type { Msg } from 'nats';

/**
 * A message of a JetStream stream, pulled by a durable consumer, with the protocol's acknowledgements. The client library
 * makes these only for its own consumers, which can't be drained without ending the connection ({@link ./puller.ts}).
 * Source: https://docs.nats.io/reference/reference-protocols/nats_api_reference
 */
export class StreamMessage {
  readonly #message: Msg;
  readonly stream: string;
  /** Its place in the stream. */
  readonly sequence: number;
  /** How often it was delivered, this time included. */
  readonly deliveries: number;

  constructor(message: Msg, stream: string, sequence: number, deliveries: number) {
    this.#message = message;
    this.stream = stream;
    this.sequence = sequence;
    this.deliveries = deliveries;
  }

  /** Undefined for what is no message of a stream: a status, for instance. */
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

  /** Where it stands, the same on redelivery; unlike a message id, no sender chooses it. */
  get streamPosition(): string {
    return `${this.stream}.${this.sequence}`;
  }

  header(name: string): string | undefined {
    return this.#message.headers?.get(name) || undefined;
  }

  /** It is handled: the stream drops it. */
  ack(): void {
    this.#message.respond(ACK);
  }

  /** It is to come again, to whichever relay, after `delayMs`. */
  retry(delayMs: number): void {
    const words = delayMs > 0 ? `-NAK {"delay": ${nanos(delayMs)}}` : '-NAK';
    this.#message.respond(text.encode(words));
  }

  /** It is still being handled: the time until it comes again starts anew. */
  working(): void {
    this.#message.respond(PROGRESS);
  }
}

const text = new TextEncoder();
const ACK = text.encode('+ACK');
const PROGRESS = text.encode('+WPI');
