import { LRUCache } from 'lru-cache';
import type { Counter } from 'prom-client';
import type { ErrorCode } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { SignalKind } from '../../contracts/messages/subjects.ts';

/** Larger than any signal that keeps to its schema and is mostly plain text. With all kinds, a runner gets 0.5 MB from a relay. */
export const MAX_SIGNAL_BYTES = 64 * 1024;
/** What a runner may leave among the dead letters, which have room for all runners together. */
const MAX_DEAD_LETTERS = 3;
/** Longer than a relay tries to deliver a signal to a runner that does not exist. */
const CLAIM_MS = 60_000;
/** A repeated signal is nothing unusual; a runner with so many is logged, once. */
const LOG_AFTER = 100;
/** A forgotten runner's signals are passed on once more. */
const MAX_RUNNERS = 20_000;

interface Claim {
  /** The message that is passed on, in its stream. */
  position: string;
  /** Milliseconds since 1970. Until then, no other message of its kind is passed on. */
  until: number;
}

interface RunnerShare {
  claims: Map<SignalKind, Claim>;
  /** The positions of the messages that may become dead letters. */
  deadLetters: Set<string>;
  dropped: number;
}

export interface SignalLimiterOptions {
  dropped: Counter<'reason'>;
  log: Logger;
}

/**
 * Bounds what one runner can send to its workflow and to the dead letters, as a job can publish signals without end. A runner reports
 * each kind of fact once: what follows would change nothing in its workflow but would fill its history, which the server ends at
 * 50 MB. A relay knows only the signals that it passed on itself since its start: with several relays, the workflow gets each kind
 * once from each of them.
 */
export class SignalLimiter {
  readonly #options: SignalLimiterOptions;
  readonly #shares = new LRUCache<string, RunnerShare>({ max: MAX_RUNNERS });

  constructor(options: SignalLimiterOptions) {
    this.#options = options;
  }

  /**
   * Whether the relay should pass the message on: the first of its runner and kind, and the same one again when the stream delivers
   * it again. A dropped message is counted.
   */
  admit(runner: string, kind: SignalKind, position: string): boolean {
    const { claims } = this.#find(runner);
    const claim = claims.get(kind);
    if (claim !== undefined && claim.position !== position && Date.now() < claim.until) {
      this.#drop(runner, 'repeated');
      return false;
    }
    claims.set(kind, { position, until: Math.max(claim?.until ?? 0, Date.now() + CLAIM_MS) });
    return true;
  }

  /** The message reached the runner's workflow, or the workflow has ended: no other of its kind is needed. */
  confirm(runner: string, kind: SignalKind, position: string): void {
    this.#find(runner).claims.set(kind, { position, until: Infinity });
  }

  /** Whether the message may become a dead letter. One that may not is dropped and counted by the dead letter's code. */
  admitDeadLetter(runner: string, position: string, code: ErrorCode): boolean {
    const { deadLetters } = this.#find(runner);
    if (!deadLetters.has(position) && deadLetters.size >= MAX_DEAD_LETTERS) {
      this.#drop(runner, code);
      return false;
    }
    deadLetters.add(position);
    return true;
  }

  #find(runner: string): RunnerShare {
    const share = this.#shares.get(runner) ?? { claims: new Map(), deadLetters: new Set(), dropped: 0 };
    this.#shares.set(runner, share);
    return share;
  }

  #drop(runner: string, reason: string): void {
    const { dropped, log } = this.#options;
    const share = this.#find(runner);
    share.dropped++;
    dropped.inc({ reason });
    if (share.dropped === LOG_AFTER) {
      log.warn({ runner, dropped: LOG_AFTER, reason }, 'a runner floods its signals; the relay drops and counts them');
    }
  }
}
