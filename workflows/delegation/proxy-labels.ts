import type { LabelledProxy, ProxyToLabel } from '../../contracts/ports/forge-activities.ts';
import type { ProxiesSettings } from '../../contracts/workflows/delegation.ts';
import { computeDelay, type GrowingDelay } from '../lib/growing-delay.ts';

/** The label of proxies that stepped aside: it shows on the forge why they get no job. */
const ASIDE_LABEL = 'stepped-aside';
/** Before a proxy whose labels could not be replaced is tried again. */
const RETRY_DELAY_MS: GrowingDelay = { first: 1000, max: 600_000 };
/** A re-run waits for so many tries where the forge does not answer. A refusal is not waited for. */
const AWAITED_TRIES = 3;

/** Which labels a proxy has on the forge, or should have: its own ones, or the one that shows that it stepped aside. */
export type Labels = 'own' | 'aside';

interface ProxyState {
  name: string;
  /** Its own labels, which it gets back. */
  labels: string[];
  /** `unknown`: it may have registered again. */
  has: Labels | 'unknown';
  /** It is in the settings no more: it gets its own labels back, and does not step aside again. */
  removed: boolean;
  /** Failures in a row. */
  tries: number;
  /** When it may be tried again, milliseconds since the epoch. */
  nextAt: number;
  problem: string | null;
  /** The forge refused, and will probably do so again. */
  refused: boolean;
}

/** {@link ProxyLabels} as JSON, for continue-as-new. */
export interface ProxyLabelsState {
  wanted: Labels;
  proxies: ProxyState[];
}

/** A proxy whose labels could not be replaced. */
export type ProxyProblem = Pick<ProxyState, 'name' | 'tries' | 'nextAt'> & { problem: string };

/**
 * The labels that a group's proxies have and should have. Each proxy is on its own: one that the forge refuses to change is tried
 * again ever more slowly, for as long as it takes, and keeps no other one waiting. Pure.
 */
export class ProxyLabels {
  #wanted: Labels;
  readonly #proxies: Map<string, ProxyState>;

  constructor(settings: ProxiesSettings, state?: ProxyLabelsState) {
    this.#wanted = state?.wanted ?? 'own';
    this.#proxies = new Map(state?.proxies.map((proxy) => [proxy.name, proxy]));
    this.configure(settings);
  }

  get wanted(): Labels {
    return this.#wanted;
  }

  /** Whether every proxy has the labels that it should have. */
  get isDone(): boolean {
    return this.#listOpen().length === 0;
  }

  /** Whether a re-run may go on: every proxy has stepped aside, or is not waited for. */
  get isDecided(): boolean {
    return this.#listOpen().every(({ removed, refused, tries }) => removed || refused || tries >= AWAITED_TRIES);
  }

  /** Applies the names and labels of newer settings. */
  configure({ names, labels }: Pick<ProxiesSettings, 'names' | 'labels'>): void {
    for (const name of names) {
      const known = this.#proxies.get(name);
      if (known !== undefined) Object.assign(known, { labels, removed: false });
      else this.#proxies.set(name, { name, labels, has: 'own', removed: false, ...UNTRIED });
    }
    for (const [name, proxy] of this.#proxies) if (!names.includes(name)) proxy.removed = true;
    this.#forgetRemoved();
  }

  /** Changes which labels the proxies should have. */
  want(labels: Labels): void {
    if (labels === this.#wanted) return;
    this.#wanted = labels;
    for (const proxy of this.#proxies.values()) Object.assign(proxy, UNTRIED);
  }

  /** A proxy that stepped aside took a job all the same: it has registered again, with its own labels. */
  recheck(name: string): void {
    const proxy = this.#proxies.get(name);
    if (proxy?.has === 'aside') Object.assign(proxy, { has: 'unknown', ...UNTRIED });
  }

  /** The proxies to change now, with the labels that they should get. */
  listDue(now: number): ProxyToLabel[] {
    return this.#listOpen()
      .filter(({ nextAt }) => nextAt <= now)
      .map((proxy) => ({ name: proxy.name, labels: this.#target(proxy) === 'own' ? proxy.labels : [ASIDE_LABEL] }));
  }

  /**
   * Applies what became of {@link listDue}. A proxy that is not registered gets no job, and has its own labels when it registers
   * again.
   *
   * @returns the proxies with a problem that is new
   */
  apply(results: readonly LabelledProxy[], now: number): ProxyProblem[] {
    const added: ProxyProblem[] = [];
    for (const { name, result, problem, retryAfterMs } of results) {
      const proxy = this.#proxies.get(name);
      if (proxy === undefined) continue;
      if (problem === null) {
        Object.assign(proxy, { has: this.#target(proxy), ...UNTRIED });
        continue;
      }
      const nextAt = now + Math.max(computeDelay(RETRY_DELAY_MS, proxy.tries), retryAfterMs ?? 0);
      const isNew = proxy.problem !== problem;
      Object.assign(proxy, { tries: proxy.tries + 1, nextAt, problem, refused: result === 'refused' });
      if (isNew) added.push({ name, tries: proxy.tries, nextAt, problem });
    }
    this.#forgetRemoved();
    return added;
  }

  /** When the next proxy is to be tried again, milliseconds since the epoch; Infinity where all have their labels. */
  findNextTry(): number {
    return Math.min(Infinity, ...this.#listOpen().map(({ nextAt }) => nextAt));
  }

  /** The proxies whose labels could not be replaced so far. */
  listProblems(): ProxyProblem[] {
    return this.#listOpen().flatMap(({ name, tries, nextAt, problem }) =>
      problem === null ? [] : [{ name, tries, nextAt, problem }],
    );
  }

  toState(): ProxyLabelsState {
    return { wanted: this.#wanted, proxies: [...this.#proxies.values()] };
  }

  #target({ removed }: ProxyState): Labels {
    return removed ? 'own' : this.#wanted;
  }

  #listOpen(): ProxyState[] {
    return [...this.#proxies.values()].filter((proxy) => proxy.has !== this.#target(proxy));
  }

  #forgetRemoved(): void {
    for (const [name, { removed, has }] of this.#proxies) if (removed && has === 'own') this.#proxies.delete(name);
  }
}

const UNTRIED = { tries: 0, nextAt: 0, problem: null, refused: false } as const;
