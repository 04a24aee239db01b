import { decode } from '../../../contracts/lib/nats.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { messageOf } from '../../../contracts/errors.ts';
import { status, type Status } from '../../../contracts/messages/status.ts';
import type { NatsLink } from '../../shared/nats-link.ts';

/** The orchestrator is asked at most this often, however many look. */
const REQUEST_INTERVAL_MS = 1000;
const ANSWER_TIMEOUT_MS = 3000;

/** What is known of the state of things, and whether it is fresh. */
export interface StatusView {
  /** When this was found out, ISO 8601. */
  at: string;
  /** Why there is no fresh answer: one clause for a person; null where there is one. */
  problem: string | null;
  /** The last answer, which may be old where there is a problem; null where there never was one. */
  status: Status | null;
}

/** Asks the orchestrator over the bus. Throws where there is no answer or one that is not of the documented shape. */
export async function fetchStatus(link: NatsLink): Promise<Status> {
  const bus = await link.connected(1).catch(() => {
    throw new Error('NATS does not answer');
  });
  const answer = await bus.request(subjects.status, undefined, { timeout: ANSWER_TIMEOUT_MS }).catch((error) => {
    throw new Error('the orchestrator does not answer', { cause: error });
  });
  return status.parse(decode(answer.data));
}

/** One question a second at most, shared by all who look; none at all while nobody looks. */
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

  /** The state of things, at most a second old. Never rejects: what is wrong is in `problem`. */
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

  /** Calls back about once a second, at first as soon as possible. The returned function ends it. */
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
    // A slow answer is waited for, not asked for again.
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
      return { at: new Date().toISOString(), problem: messageOf(error), status: known };
    }
  }
}
