import { Counter, Histogram, type Registry } from 'prom-client';
import type { ActivityObserver } from '../../activities/backends/activities.ts';

export interface BackendMetrics {
  /** Every create, delete and check that ended, with its outcome: `ok`, `cancelled` or an error's code. */
  observe: ActivityObserver;
  died: Counter;
}

/** The numbers of one backend worker. */
export function backendMetrics(registry: Registry, backend: string): BackendMetrics {
  const registers = [registry];
  const created = new Counter({
    name: 'baton_instances_created_total',
    help: 'Create calls that ended, repeated ones included',
    labelNames: ['backend', 'outcome'],
    registers,
  });
  const deleted = new Counter({
    name: 'baton_instances_deleted_total',
    help: 'Delete calls that ended, repeated ones included',
    labelNames: ['backend', 'outcome'],
    registers,
  });
  const died = new Counter({
    name: 'baton_instances_died_total',
    help: 'Deaths of instances that this worker told',
    labelNames: ['backend'],
    registers,
  });
  const seconds = new Histogram({
    name: 'baton_backend_activity_seconds',
    help: 'How long creates, deletes and checks took',
    labelNames: ['backend', 'activity', 'outcome'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers,
  });
  died.inc({ backend }, 0);
  return {
    died,
    observe(activity, outcome, took) {
      seconds.observe({ backend, activity, outcome }, took);
      if (activity === 'createInstance') created.inc({ backend, outcome });
      if (activity === 'deleteInstance') deleted.inc({ backend, outcome });
    },
  };
}
