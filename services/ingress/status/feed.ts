import { decode } from '../../../contracts/lib/nats.ts';
import { parseValue } from '../../../contracts/lib/parse-value.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import { status, type Status } from '../../../contracts/messages/status.ts';
import type { NatsLink } from '../../shared/nats-link.ts';

/** At most one request to the orchestrator in this time, for any number of viewers. */
const REQUEST_INTERVAL_MS = 1000;
const ANSWER_TIMEOUT_MS = 3000;

/** The latest known status, and whether it is current. */
export interface StatusView {
  /** When the orchestrator was asked, ISO 8601. */
  at: string;
  /** Why there is no current answer, as one clause for the page; null where there is one. */
  problem: string | null;
  /** The last answer: old where there is a problem, null where there never was one. */
  status: Status | null;
}

/**
 * Asks the orchestrator over NATS.
 *
 * @throws Error when it does not answer, or answers with something else than a status
 */
export async function fetchStatus(link: NatsLink): Promise<Status> {
  const bus = await link.connected(1).catch(() => {
    throw new Error('NATS does not answer');
  });
  const answer = await bus.request(subjects.status, undefined, { timeout: ANSWER_TIMEOUT_MS }).catch((error) => {
    throw new Error('the orchestrator does not answer', { cause: error });
  });
  return parseValue(status, decode(answer.data), 'the status');
}

/** Requests the status at most once a second, for all viewers together, and not at all without viewers. */
export class StatusFeed {
  readonly #ask: () => Promise<Status>;
  readonly #viewers = new Set<(view: StatusView) => void>();
  #latest: StatusView | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<StatusView> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(ask: () => Promise<Status>) {
    this.#ask = ask;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** The status, at most a second old. Never rejects: `problem` says what is wrong. */
  async current(): Promise<StatusView> {
    if (this.#asking) return this.#asking;
    if (this.#latest && performance.now() - this.#askedAt < REQUEST_INTERVAL_MS) return this.#latest;
    this.#askedAt = performance.now();
    this.#asking = this.#requestView();
    try {
      this.#latest = await this.#asking;
      return this.#latest;
    } finally {
      this.#asking = undefined;
    }
  }

  /** Calls `viewer` as soon as possible, then about once a second. @returns a function that stops it */
  watch(viewer: (view: StatusView) => void): () => void {
    this.#viewers.add(viewer);
    if (this.#timer === undefined) this.#tick();
    else void this.current().then((view) => this.#viewers.has(viewer) && viewer(view));
    return () => {
      this.#viewers.delete(viewer);
      if (this.#viewers.size > 0) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  }

  #tick(): void {
    this.#timer = setTimeout(() => this.#tick(), REQUEST_INTERVAL_MS);
    // No second request while one waits for its answer.
    if (this.#asking) return;
    void this.#notifyViewers();
  }

  async #notifyViewers(): Promise<void> {
    const view = await this.current();
    for (const viewer of this.#viewers) viewer(view);
  }

  async #requestView(): Promise<StatusView> {
    try {
      const answer = await this.#ask();
      return { at: new Date().toISOString(), problem: null, status: answer };
    } catch (error) {
      const known = this.#latest?.status ?? null;
      return { at: new Date().toISOString(), problem: getErrorMessage(error), status: known };
    }
  }
}
