import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { PRIORITIES, type ForgeCall, type Priority } from '../../../activities/forges/github/scheduler/call.ts';
import type { CallResult, CallScheduler } from '../../../activities/forges/github/scheduler/scheduler.ts';

type ByPriority = (scheduler: CallScheduler, priority: Priority) => number;
type ByApp = (scheduler: CallScheduler) => number | undefined;

/** Metrics of the schedulers: by App (or token) and priority. */
export class SchedulerMetrics {
  readonly #registry: Registry;
  readonly #schedulers: readonly CallScheduler[];
  readonly #wait: Histogram<'app' | 'priority'>;
  readonly #calls: Counter<'app' | 'priority' | 'result'>;
  readonly #points: Counter<'app' | 'priority'>;

  /** @param schedulers all there are; those added later are shown too */
  constructor(metrics: Registry, schedulers: readonly CallScheduler[]) {
    this.#registry = metrics;
    this.#schedulers = schedulers;
    const registers = [metrics];
    this.#wait = new Histogram({
      name: 'baton_forge_wait_seconds',
      help: 'How long calls to the forge waited for their turn, by App (or token) and priority',
      labelNames: ['app', 'priority'],
      buckets: [0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    });
    this.#calls = new Counter({
      name: 'baton_forge_calls_total',
      help: 'Calls to the forge by result; nobody waited any more for `abandoned` and `withdrawn` ones; `withdrawn` and `expired` ones were not sent',
      labelNames: ['app', 'priority', 'result'],
      registers,
    });
    this.#points = new Counter({
      name: 'baton_forge_points_total',
      help: 'Points of GitHub’s secondary rate limit that calls used: a read costs 1, a change 5',
      labelNames: ['app', 'priority'],
      registers,
    });
    this.#perPriority(
      'baton_forge_queue_length',
      'Calls to the forge that wait for their turn in this process',
      (scheduler, priority) => scheduler.view().queues[priority].waiting,
    );
    this.#perPriority(
      'baton_forge_calls_in_flight',
      'Calls to the forge that have no answer yet',
      (scheduler, priority) => scheduler.view().inFlight[priority],
    );
    this.#perApp(
      'baton_forge_remaining',
      'Requests left in the forge’s primary limit, as the forge last reported',
      (scheduler) => scheduler.view().budget.state.primary['installation core']?.remaining,
    );
    this.#perApp(
      'baton_forge_blocked_seconds',
      'Seconds until the forge accepts calls again, or is asked again after an outage',
      (scheduler) => {
        const ends = Object.values(scheduler.view().budget.state.blocks).map(
          ({ until }) => until - scheduler.view().budget.now(),
        );
        return Math.max(0, ...ends) / 1000;
      },
    );
  }

  /** What a scheduler reports to. */
  observe(app: string): {
    onWait: (priority: Priority, seconds: number) => void;
    onResult: (call: ForgeCall, result: CallResult) => void;
  } {
    return {
      onWait: (priority, seconds) => this.#wait.observe({ app, priority }, seconds),
      onResult: ({ priority, cost }, result) => {
        this.#calls.inc({ app, priority, result });
        if (result !== 'expired' && result !== 'withdrawn') this.#points.inc({ app, priority }, cost);
      },
    };
  }

  #perPriority(name: string, help: string, value: ByPriority): void {
    const gauge = new Gauge({
      name,
      help,
      labelNames: ['app', 'priority'],
      registers: [this.#registry],
      collect: () => {
        for (const scheduler of this.#schedulers) {
          for (const priority of PRIORITIES) {
            gauge.set({ app: scheduler.name, priority }, value(scheduler, priority));
          }
        }
      },
    });
  }

  #perApp(name: string, help: string, value: ByApp): void {
    const gauge = new Gauge({
      name,
      help,
      labelNames: ['app'],
      registers: [this.#registry],
      collect: () => {
        for (const scheduler of this.#schedulers) {
          const now = value(scheduler);
          if (now !== undefined) gauge.set({ app: scheduler.name }, now);
        }
      },
    });
  }
}
