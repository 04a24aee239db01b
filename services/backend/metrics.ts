import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ActivityObserver } from '../../activities/backends/activities.ts';
import type { FilterObserver, PullObserver } from '../../contracts/ports/backend.ts';

export interface BackendMetrics {
  /** Call it after each create, delete and check; the outcome is `ok`, `cancelled` or an error's code. */
  observe: ActivityObserver;
  observePulls: PullObserver;
  observeFilter: FilterObserver;
  died: Counter;
}

/** The metrics of one backend worker. */
export function createBackendMetrics(registry: Registry, backend: string): BackendMetrics {
  const registers = [registry];
  const created = new Counter({
    name: 'baton_instances_created_total',
    help: 'Ended calls to create an instance, repeated ones included',
    labelNames: ['backend', 'outcome'],
    registers,
  });
  const deleted = new Counter({
    name: 'baton_instances_deleted_total',
    help: 'Ended calls to delete an instance, repeated ones included',
    labelNames: ['backend', 'outcome'],
    registers,
  });
  const died = new Counter({
    name: 'baton_instances_died_total',
    help: 'Deaths of instances that this worker observed',
    labelNames: ['backend'],
    registers,
  });
  const seconds = new Histogram({
    name: 'baton_backend_activity_seconds',
    help: 'Duration of calls to create, delete or check an instance',
    labelNames: ['backend', 'activity', 'outcome'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers,
  });
  const pulls = new Gauge({
    name: 'baton_image_pulls',
    help: 'Images that the worker has its engine pull now (state: running), and those that wait for their turn (waiting)',
    labelNames: ['backend', 'state'],
    registers,
  });
  const pullSeconds = new Histogram({
    name: 'baton_image_pull_seconds',
    help: 'Duration of pulls of images, without the time they waited for their turn; the outcome is ok or failed',
    labelNames: ['backend', 'outcome'],
    buckets: [1, 5, 10, 30, 60, 120, 300, 600, 1200, 3600],
    registers,
  });
  const filterUp = new Gauge({
    name: 'baton_host_filter_up',
    help: 'Whether the packet filter between instances and the engine’s machine was verified by the last check (1) or not (0)',
    labelNames: ['backend'],
    registers,
  });
  const filterChecks = new Counter({
    name: 'baton_host_filter_checks_total',
    help: 'Checks of that packet filter by outcome: ok, restored (the rules had vanished) or failed',
    labelNames: ['backend', 'outcome'],
    registers,
  });
  const filterDropped = new Counter({
    name: 'baton_host_filter_dropped_packets_total',
    help: 'Packets of instances to the engine’s machine, a metadata service or another runner that the filter has dropped',
    labelNames: ['backend'],
    registers,
  });
  died.inc({ backend }, 0);
  return {
    died,
    observeFilter: {
      checked(outcome, dropped) {
        filterUp.set({ backend }, outcome === 'failed' ? 0 : 1);
        filterChecks.inc({ backend, outcome });
        filterDropped.inc({ backend }, dropped);
      },
    },
    observePulls: {
      counted({ running, waiting }) {
        pulls.set({ backend, state: 'running' }, running);
        pulls.set({ backend, state: 'waiting' }, waiting);
      },
      ended: (outcome, duration) => pullSeconds.observe({ backend, outcome }, duration),
    },
    observe(activity, outcome, duration) {
      seconds.observe({ backend, activity, outcome }, duration);
      if (activity === 'createInstance') created.inc({ backend, outcome });
      if (activity === 'deleteInstance') deleted.inc({ backend, outcome });
    },
  };
}
