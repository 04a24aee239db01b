/** What happened in the simulator. Tests check invariants with it: each job ran once, no busy runner was removed. */
export type SimulatorEventType =
  | 'api.call'
  | 'webhook.sent'
  | 'webhook.lost'
  | 'webhook.held'
  | 'runner.registered'
  | 'runner.online'
  | 'runner.offline'
  | 'runner.removed'
  | 'job.waiting'
  | 'job.queued'
  | 'job.assigned'
  | 'job.requeued'
  | 'job.started'
  | 'job.cancelling'
  | 'job.lost'
  | 'job.abandoned'
  | 'job.completed'
  | 'repository.moved'
  | 'repository.deleted'
  | 'group.recreated';

export interface SimulatorEvent {
  /** 1, 2, 3, … without a gap. */
  seq: number;
  /** ISO 8601 */
  at: string;
  type: SimulatorEventType;
  [field: string]: unknown;
}

/** An append-only log in memory; callers can wait for an event. */
export class EventLog {
  readonly #events: SimulatorEvent[] = [];
  readonly #watchers = new Set<(event: SimulatorEvent) => void>();

  add(type: SimulatorEventType, fields: Record<string, unknown> = {}): void {
    const event: SimulatorEvent = { ...fields, seq: this.#events.length + 1, at: new Date().toISOString(), type };
    this.#events.push(event);
    for (const watcher of this.#watchers) watcher(event);
  }

  /** Events after number `seq`, of one type where given. */
  since(seq = 0, type?: SimulatorEventType): SimulatorEvent[] {
    const later = this.#events.slice(seq);
    return type === undefined ? later : later.filter((event) => event.type === type);
  }

  /**
   * The first event that matches, past or future.
   *
   * @param what names the event in the error
   * @throws Error after `timeoutMs`
   */
  async waitFor(
    what: string,
    matches: (event: SimulatorEvent) => boolean,
    { timeoutMs = 90_000, after = 0 }: { timeoutMs?: number; after?: number } = {},
  ): Promise<SimulatorEvent> {
    const known = this.#events.slice(after).find(matches);
    if (known) return known;
    return await new Promise<SimulatorEvent>((resolve, reject) => {
      const watcher = (event: SimulatorEvent): void => {
        if (!matches(event)) return;
        this.#watchers.delete(watcher);
        clearTimeout(timer);
        resolve(event);
      };
      const timer = setTimeout(() => {
        this.#watchers.delete(watcher);
        reject(new Error(`waiting for ${what}: no such event within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#watchers.add(watcher);
    });
  }
}
