import { NatsError, type StoredMsg } from 'nats';
import { decode, type Bus } from '../../../contracts/lib/nats.ts';
import { HEADERS, STREAMS } from '../../../contracts/messages/streams.ts';
import { jobEvent, type JobEvent } from '../../../contracts/messages/job-event.ts';
import type { DeadLetter } from '../../../contracts/messages/status.ts';

/** JetStream's answer for a message that is not there (any more). */
const NO_MESSAGE = 10_037;

/** Reads what the relays have put aside. */
export class DeadLetterView {
  readonly #bus: Bus;
  #newest: { lastSequence: number; letters: DeadLetter[] } | undefined;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** How many there are, and the newest of them, newest first. */
  async look(most: number): Promise<{ count: number; newest: DeadLetter[] }> {
    const jetstreamManager = await this.#bus.jetstreamManager();
    const { state } = await jetstreamManager.streams.info(STREAMS.dead.name);
    if (this.#newest?.lastSequence !== state.last_seq) {
      const letters: DeadLetter[] = [];
      for await (const message of this.#newestFirst(most)) letters.push(letterOf(message));
      this.#newest = { lastSequence: state.last_seq, letters };
    }
    return { count: state.messages, newest: state.messages === 0 ? [] : this.#newest.letters };
  }

  /** The newest word of a job among the newest `most` letters. */
  async ofJob(jobId: number, most: number): Promise<{ letter: DeadLetter; event: JobEvent } | undefined> {
    for await (const message of this.#newestFirst(most)) {
      const event = jobEvent.safeParse(bodyOf(message));
      if (event.success && event.data.job.id === jobId) return { letter: letterOf(message), event: event.data };
    }
    return undefined;
  }

  async *#newestFirst(most: number): AsyncIterable<StoredMsg> {
    const jetstreamManager = await this.#bus.jetstreamManager();
    const { state } = await jetstreamManager.streams.info(STREAMS.dead.name);
    const first = Math.max(state.first_seq, state.last_seq - most + 1);
    for (let seq = state.last_seq; seq >= first && seq > 0; seq--) {
      try {
        yield await jetstreamManager.streams.getMessage(STREAMS.dead.name, { seq });
      } catch (error) {
        if (!(error instanceof NatsError) || error.api_error?.err_code !== NO_MESSAGE) throw error;
      }
    }
  }
}

function letterOf(message: StoredMsg): DeadLetter {
  return {
    at: message.time.toISOString(),
    code: message.header.get(HEADERS.reasonCode),
    reason: message.header.get(HEADERS.reason),
  };
}

/** Dead letters hold what could not be read, too. */
function bodyOf(message: StoredMsg): unknown {
  try {
    return decode(message.data);
  } catch {
    return undefined;
  }
}
