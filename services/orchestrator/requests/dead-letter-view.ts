import { NatsError, type StoredMsg } from 'nats';
import { decode, type Bus } from '../../../contracts/lib/nats.ts';
import { HEADERS, STREAMS } from '../../../contracts/messages/streams.ts';
import { jobEvent, type JobEvent } from '../../../contracts/messages/job-event.ts';
import type { DeadLetter } from '../../../contracts/messages/status.ts';

/** JetStream's error code: no message with this sequence number (any more). */
const MESSAGE_NOT_FOUND = 10_037;

/** Reads the dead-letter stream. */
export class DeadLetterView {
  readonly #bus: Bus;
  #newest: { lastSequence: number; deadLetters: DeadLetter[] } | undefined;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** How many dead letters there are, and the newest `limit` of them, newest first. */
  async read(limit: number): Promise<{ count: number; newest: DeadLetter[] }> {
    const jetstreamManager = await this.#bus.jetstreamManager();
    const { state } = await jetstreamManager.streams.info(STREAMS.dead.name);
    if (this.#newest?.lastSequence !== state.last_seq) {
      const deadLetters: DeadLetter[] = [];
      for await (const message of this.#newestFirst(limit)) deadLetters.push(toDeadLetter(message));
      this.#newest = { lastSequence: state.last_seq, deadLetters };
    }
    return { count: state.messages, newest: state.messages === 0 ? [] : this.#newest.deadLetters };
  }

  /** The newest dead letter about a job, among the newest `limit` ones. */
  async findByJob(jobId: number, limit: number): Promise<{ deadLetter: DeadLetter; event: JobEvent } | undefined> {
    for await (const message of this.#newestFirst(limit)) {
      const event = jobEvent.safeParse(decodeBody(message));
      if (event.success && event.data.job.id === jobId) {
        return { deadLetter: toDeadLetter(message), event: event.data };
      }
    }
    return undefined;
  }

  async *#newestFirst(limit: number): AsyncIterable<StoredMsg> {
    const jetstreamManager = await this.#bus.jetstreamManager();
    const { state } = await jetstreamManager.streams.info(STREAMS.dead.name);
    const first = Math.max(state.first_seq, state.last_seq - limit + 1);
    for (let seq = state.last_seq; seq >= first && seq > 0; seq--) {
      try {
        yield await jetstreamManager.streams.getMessage(STREAMS.dead.name, { seq });
      } catch (error) {
        if (!(error instanceof NatsError) || error.api_error?.err_code !== MESSAGE_NOT_FOUND) throw error;
      }
    }
  }
}

function toDeadLetter(message: StoredMsg): DeadLetter {
  return {
    at: message.time.toISOString(),
    code: message.header.get(HEADERS.reasonCode),
    reason: message.header.get(HEADERS.reason),
  };
}

/** Undefined where the body isn't JSON: unreadable messages become dead letters too. */
function decodeBody(message: StoredMsg): unknown {
  try {
    return decode(message.data);
  } catch {
    return undefined;
  }
}
