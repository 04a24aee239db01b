import type { SharedDocument } from '../../../lib/shared-document.ts';
import {
  addUse,
  computeWindowWait,
  countUsed,
  hasWrongStamps,
  type WindowLength,
  type WindowUses,
} from '../../../lib/sliding-window.ts';

/**
 * GitHub's limit of registrations in an organisation or repository, whichever App makes them.
 *
 * @see https://docs.github.com/en/actions/reference/limits
 */
export const MAX_SCOPE_REGISTRATIONS = 1500;
export const SCOPE_WINDOW: WindowLength = { lengthMs: 300_000, slotMs: 1000, marginMs: 2000 };

const MAX_AGE_MS = 1000;

export interface ScopeLimitOptions {
  /** The shared count of a scope's registrations, by the scope's name: `acme` or `acme/web`. */
  open: (scope: string) => SharedDocument<WindowUses>;
  /** Default: {@link MAX_SCOPE_REGISTRATIONS} in {@link SCOPE_WINDOW}. */
  cap?: number;
  window?: WindowLength;
  /** The clock of all processes that share the count, milliseconds since the epoch. Default: this machine's. */
  now?: () => number;
}

/** The registrations of each scope, counted over all Apps and processes. */
export class ScopeLimit {
  readonly cap: number;
  readonly window: WindowLength;
  readonly #now: () => number;
  readonly #open: (scope: string) => SharedDocument<WindowUses>;
  readonly #scopes = new Map<string, SharedDocument<WindowUses>>();

  constructor({ open, cap = MAX_SCOPE_REGISTRATIONS, window = SCOPE_WINDOW, now = Date.now }: ScopeLimitOptions) {
    this.#now = now;
    this.#open = open;
    this.cap = cap;
    this.window = window;
  }

  /** How many registrations the scope allows now, as far as this process knows. */
  getRoom(scope: string): number {
    return Math.max(0, this.cap - countUsed(this.#find(scope).current, this.window, this.#now()));
  }

  /** How many milliseconds until so many more registrations can be made. */
  getWait(scope: string, count: number): number {
    const now = this.#now();
    const document = this.#find(scope);
    // Whoever has to wait takes nothing, and so would never store them anew.
    if (hasWrongStamps(document.current, this.window, now))
      void document.change((uses) => addUse(uses, this.window, 0, now));
    return computeWindowWait(document.current, this.window, this.cap, count, now);
  }

  /**
   * Counts as many of these registrations as the scope allows.
   *
   * @returns how many it allows
   */
  async take(scope: string, count: number): Promise<number> {
    let allowed = 0;
    const changed = await this.#find(scope).change((uses) => {
      const now = this.#now();
      allowed = Math.min(count, Math.max(0, this.cap - countUsed(uses, this.window, now)));
      // Also where nothing is allowed: what a wrong clock stamped is stamped anew.
      return addUse(uses, this.window, allowed, now);
    });
    return changed === undefined ? 0 : allowed;
  }

  /** Reads again what other processes have counted, unless it was read within a second. */
  refresh(scope: string): void {
    const document = this.#find(scope);
    if (Date.now() - document.readAt > MAX_AGE_MS) void document.refresh();
  }

  #find(scope: string): SharedDocument<WindowUses> {
    const key = scope.toLowerCase();
    const known = this.#scopes.get(key) ?? this.#open(key);
    this.#scopes.set(key, known);
    return known;
  }
}
