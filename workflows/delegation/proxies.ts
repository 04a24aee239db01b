import {
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  defineSignal,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { PROXIES_EVENTS, type ProxiesEvent, type ProxiesSettings } from '../../contracts/workflows/delegation.ts';
import type { DelegatedJobActivities } from '../../contracts/ports/forge-activities.ts';
import type { AuditEntry } from '../../contracts/messages/audit.ts';
import { historyIsFull } from '../lib/history.ts';
import { proxySignalActivities } from '../lib/signal-activities.ts';
import { ProxyLabels, type ProxyLabelsState, type ProxyProblem } from './proxy-labels.ts';
import { showProxies } from './proxies-details.ts';
import { Recorder } from './recorder.ts';
import { RunnerWatch } from './runner-watch.ts';

const eventsSignal = defineSignal<[ProxiesEvent[], ProxiesSettings]>(PROXIES_EVENTS);

/** A hold that is not renewed within this time expires: its delegation has ended, or was terminated. */
const HOLD_TIMEOUT_MS = 10 * 60_000;
/** A short delay before proxies come back: the next delegation often follows soon. */
const COME_BACK_DELAY_MS = 500;

const forge = proxyActivities<Pick<DelegatedJobActivities, 'labelProxies'>>({
  taskQueue: TASK_QUEUE.forge,
  startToCloseTimeout: '2 min',
  heartbeatTimeout: '20 s',
  retry: { initialInterval: '1 s', maximumInterval: '1 min' },
  summary: 'replace the labels of proxies',
});
const { recordAudit } = proxySignalActivities('write the audit entry');
const { signalDelegations } = proxySignalActivities('signal the delegations');

interface Carried {
  holds: [string, number][];
  unanswered: string[];
  /** Delegations that wait for an online runner. */
  waiting: [string, number][];
  labels: ProxyLabelsState;
  audit: AuditEntry[];
}

/**
 * Keeps a group's proxies from taking jobs while a delegation's re-run waits for its runner: it removes their labels as long as
 * any delegation holds them, then restores the labels and ends. For delegations that want the hold only when a runner of the group is
 * online, it watches the group. Cancelling it restores the labels at once.
 */
export async function proxies(input: { settings: ProxiesSettings; carried?: Carried }): Promise<void> {
  const actor = new ProxiesActor(input.settings, input.carried);
  let cancelled = false;
  void CancellationScope.current().cancelRequested.catch(() => {
    cancelled = true;
    actor.releaseAll();
  });
  // Labels are restored whatever happens.
  await CancellationScope.nonCancellable(() => actor.run());
  if (cancelled) throw new CancelledFailure('cancelled; the proxies have their labels');
}

class ProxiesActor {
  #settings: ProxiesSettings;
  readonly #labels: ProxyLabels;
  /** Delegations that hold the proxies aside, and until when, milliseconds since the epoch. */
  readonly #holds: Map<string, number>;
  /** Delegations to signal once the proxies have stepped aside. */
  readonly #unanswered: Set<string>;
  readonly #watch: RunnerWatch;
  readonly #audit: Recorder<AuditEntry>;
  #changed = false;

  constructor(settings: ProxiesSettings, carried?: Carried) {
    this.#settings = settings;
    this.#labels = new ProxyLabels(settings, carried?.labels);
    this.#holds = new Map(carried?.holds);
    this.#unanswered = new Set(carried?.unanswered);
    this.#watch = new RunnerWatch(settings.group, carried?.waiting);
    this.#audit = new Recorder(async (entries) => {
      for (const audit of entries) await recordAudit({ audit });
    }, carried?.audit);
    setHandler(eventsSignal, (events, newer) => this.#apply(events, newer));
  }

  /** Lets all proxies come back, whichever delegation holds them. */
  releaseAll(): void {
    this.#holds.clear();
    this.#unanswered.clear();
    this.#watch.clear();
    this.#changed = true;
  }

  /** Returns when no delegation needs anything any more, and every proxy has its own labels. */
  async run(): Promise<void> {
    void this.#watch.run((delegations) => {
      for (const delegation of delegations) this.#hold(delegation);
      this.#changed = true;
    });
    for (;;) {
      // Before any activity: the server refuses to continue as new while signals arrive, and holds them back for one attempt only.
      if (historyIsFull()) await this.#continueAsNew();
      this.#changed = false;
      for (const [delegation, until] of this.#holds) if (until <= Date.now()) this.#holds.delete(delegation);
      if (await this.#isHeldSoon()) continue;
      this.#labels.want(this.#holds.size > 0 ? 'aside' : 'own');
      this.#updateView();
      await this.#labelDue();
      if (this.#holds.size > 0 && this.#labels.isDecided) await this.#answer();
      const isIdle = this.#holds.size === 0 && this.#watch.size === 0 && this.#labels.isDone;
      if (isIdle && !this.#changed && (await this.#isRecorded())) return;
      await this.#waitForWork();
    }
  }

  #apply(events: readonly ProxiesEvent[], newer: ProxiesSettings): void {
    if (newer.asOf > this.#settings.asOf) {
      this.#settings = newer;
      this.#labels.configure(newer);
    }
    for (const { type, delegation, takenBy } of events) {
      this.#watch.delete(delegation);
      if (takenBy !== undefined) this.#labels.recheck(takenBy);
      if (type === 'hold') this.#hold(delegation);
      else if (type === 'hold-when-online') this.#holdWhenOnline(delegation);
      else {
        this.#holds.delete(delegation);
        this.#unanswered.delete(delegation);
      }
    }
    this.#changed = true;
  }

  /** A hold that is only renewed was answered before, or still will be. */
  #hold(delegation: string): void {
    if (!this.#holds.has(delegation)) this.#unanswered.add(delegation);
    this.#holds.set(delegation, Date.now() + HOLD_TIMEOUT_MS);
  }

  #holdWhenOnline(delegation: string): void {
    if (this.#holds.has(delegation)) {
      // A runner was online already. It wants to know whether all proxies have stepped aside, also one that has just registered again.
      this.#unanswered.add(delegation);
      this.#hold(delegation);
    } else this.#watch.add(delegation, Date.now() + HOLD_TIMEOUT_MS);
  }

  /** Whether a delegation holds the proxies again within the delay before they come back. */
  async #isHeldSoon(): Promise<boolean> {
    if (this.#holds.size > 0 || this.#labels.wanted === 'own') return false;
    const summary = 'delay before the proxies come back';
    return await condition(() => this.#holds.size > 0, COME_BACK_DELAY_MS, { summary });
  }

  /** Replaces the labels of the proxies whose turn it is. */
  async #labelDue(): Promise<void> {
    const due = this.#labels.listDue(Date.now());
    if (due.length === 0) return;
    const { wanted } = this.#labels;
    const { results } = await forge.labelProxies({ scope: this.#settings.scope, proxies: due });
    const added = this.#labels.apply(results, Date.now());
    this.#updateView();
    const action = wanted === 'aside' ? 'proxies-aside' : 'proxies-back';
    const labelled = results.filter(({ result }) => result === 'labelled').map(({ name }) => name);
    if (labelled.length > 0)
      this.#record(action, 'ok', `${wanted === 'aside' ? 'aside' : 'back'}: ${labelled.join(', ')}`);
    if (added.length > 0) this.#record(action, 'failed', joinProblems(added));
  }

  /** Signals the delegations that wait for it that the proxies stepped aside, or why not all could. */
  async #answer(): Promise<void> {
    const ids = [...this.#unanswered].filter((id) => this.#holds.has(id));
    this.#unanswered.clear();
    if (ids.length === 0) return;
    // A re-run that a proxy takes is handed over again.
    const problems = this.#labels.listProblems();
    const problem = problems.length === 0 ? null : `proxies that may take the re-run: ${joinProblems(problems)}`;
    await signalDelegations({ ids, events: [{ type: 'stepped-aside', problem }] });
  }

  /** Waits until the audit entries are written; false where something else happens before that. */
  async #isRecorded(): Promise<boolean> {
    await condition(() => this.#audit.isQuiet || this.#changed || historyIsFull());
    return this.#audit.isQuiet && !this.#changed;
  }

  async #waitForWork(): Promise<void> {
    const hasWork = (): boolean => this.#changed || historyIsFull();
    if (hasWork()) return;
    const next = Math.min(this.#labels.findNextTry(), ...this.#holds.values());
    if (next === Infinity) await condition(hasWork);
    else {
      const summary = this.#labels.isDone ? 'removes a hold that is not renewed' : 'tries again to replace labels';
      await condition(hasWork, Math.max(1, next - Date.now()), { summary });
    }
  }

  async #continueAsNew(): Promise<never> {
    const carried: Carried = {
      holds: [...this.#holds],
      unanswered: [...this.#unanswered],
      waiting: this.#watch.toState(),
      labels: this.#labels.toState(),
      audit: this.#audit.toState(),
    };
    return await continueAsNew<typeof proxies>({ settings: this.#settings, carried });
  }

  #updateView(): void {
    showProxies(this.#settings, this.#labels, [...this.#holds.keys()], this.#watch.size);
  }

  #record(action: AuditEntry['action'], outcome: string, detail: string): void {
    const { workflowId, runId, historyLength } = workflowInfo();
    const entry: AuditEntry = {
      version: 1,
      id: `${workflowId}.${runId}.${historyLength}.${action}.${outcome}`,
      at: new Date().toISOString(),
      who: `proxies/${this.#settings.group}`,
      action,
      delegation: null,
      repository: null,
      runId: null,
      outcome,
      detail: detail.slice(0, 1500),
    };
    this.#audit.add(entry, { later: false });
  }
}

function joinProblems(problems: readonly ProxyProblem[]): string {
  return problems.map(({ name, problem }) => `${name}: ${problem}`).join('; ');
}
