import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { registerSlotMetrics } from '../../../../services/shared/slot-metrics.ts';

/** As the SDK 1.24 writes it. */
const SDK_METRICS = `# HELP temporal_num_pollers Current number of active pollers per queue type
# TYPE temporal_num_pollers gauge
temporal_num_pollers{namespace="default",poller_type="activity_task",service_name="temporal-core-sdk",task_queue="q1"} 7
# HELP temporal_worker_task_slots_available Current number of available slots per task type
# TYPE temporal_worker_task_slots_available gauge
temporal_worker_task_slots_available{namespace="default",service_name="temporal-core-sdk",task_queue="q1",worker_type="ActivityWorker"} 7
temporal_worker_task_slots_available{namespace="default",service_name="temporal-core-sdk",task_queue="q1",worker_type="NexusWorker"} 100
# HELP temporal_worker_task_slots_used Current number of used slots per task type
# TYPE temporal_worker_task_slots_used gauge
temporal_worker_task_slots_used{namespace="default",service_name="temporal-core-sdk",task_queue="q1",worker_type="ActivityWorker"} 3
temporal_worker_task_slots_used{namespace="default",service_name="temporal-core-sdk",task_queue="q2",worker_type="WorkflowWorker"} 12
`;

describe('the metrics of slots', () => {
  it('are those of the SDK, by task queue and kind, read once for both', async () => {
    const registry = new Registry();
    let reads = 0;
    registerSlotMetrics(
      registry,
      () => {
        reads += 1;
        return Promise.resolve(SDK_METRICS);
      },
      () => [{ state: 'available', queue: 'q2', kind: 'workflow', count: 88 }],
    );
    const text = await registry.metrics();
    expect(text.split('\n').filter((line) => line.startsWith('baton_'))).toEqual([
      'baton_worker_slots_used{queue="q1",kind="activity"} 3',
      'baton_worker_slots_used{queue="q2",kind="workflow"} 12',
      'baton_worker_slots_available{queue="q1",kind="activity"} 7',
      'baton_worker_slots_available{queue="q2",kind="workflow"} 88',
    ]);
    expect(reads).toBe(1);
  });

  it('are missing while the SDK does not answer, and the other metrics are not', async () => {
    const registry = new Registry();
    let answer = Promise.resolve(SDK_METRICS);
    registerSlotMetrics(registry, () => answer);
    await registry.metrics();
    answer = Promise.reject(new Error('connection refused'));
    expect(await registry.metrics()).not.toMatch(/^baton_worker_slots_used\{/m);
  });
});
