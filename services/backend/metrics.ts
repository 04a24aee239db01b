import { Counter, Histogram, type Registry } from 'prom-client';
import type { ActivityObserver } from '../../activities/backends/activities.ts';

export interface BackendMetrics {
  /** Call it after each create, delete and check; the outcome is `ok`, `cancelled` or an error's code. */
  observe: ActivityObserver;
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
  died.inc({ backend }, 0);
  return {
    died,
    observe(activity, outcome, duration) {
      seconds.observe({ backend, activity, outcome }, duration);
      if (activity === 'createInstance') created.inc({ backend, outcome });
      if (activity === 'deleteInstance') deleted.inc({ backend, outcome });
    },
  };
}
