import { Gauge, type Registry } from 'prom-client';

/** The kinds of slots, as the SDK calls them and as our metrics do. */
const KINDS = new Map([
  ['WorkflowWorker', 'workflow'],
  ['ActivityWorker', 'activity'],
  ['LocalActivityWorker', 'local-activity'],
]);
const LINE = /^temporal_worker_task_slots_(used|available)\{(.*)\} (\d+(?:\.\d+)?)$/gm;

/** How many slots of one kind a Temporal worker of this process uses, or has left. */
export interface WorkerSlots {
  state: 'used' | 'available';
  /** Its task queue. */
  queue: string;
  kind: string;
  count: number;
}

/** Reads the slots from the SDK's own metrics, Prometheus' text format; kinds that Baton has no use for are left out. */
export function parseWorkerSlots(text: string): WorkerSlots[] {
  return [...text.matchAll(LINE)].flatMap(([, state, labels = '', count]) => {
    const queue = /\btask_queue="([^"]*)"/.exec(labels)?.[1];
    const kind = KINDS.get(/\bworker_type="([^"]*)"/.exec(labels)?.[1] ?? '');
    if (queue === undefined || kind === undefined) return [];
    return [{ state: state === 'used' ? 'used' : 'available', queue, kind, count: Number(count) }];
  });
}

/**
 * Adds the slots of this process's Temporal workers to its metrics.
 *
 * @param read the SDK's metrics; where it rejects, the slots are missing until it answers again
 * @param own what the SDK doesn't count: how many slots a supplier of ours has left
 */
export function registerSlotMetrics(
  registry: Registry,
  read: () => Promise<string>,
  own: () => WorkerSlots[] = () => [],
): void {
  let reading: Promise<WorkerSlots[]> | undefined;
  // Both metrics are collected at the same time: one question serves both.
  const readOnce = (): Promise<WorkerSlots[]> =>
    (reading ??= read()
      .then(
        (text) => [...parseWorkerSlots(text), ...own()],
        () => [],
      )
      .finally(() => (reading = undefined)));
  const show = async (gauge: Gauge<'queue' | 'kind'>, shown: WorkerSlots['state']): Promise<void> => {
    const slots = await readOnce();
    gauge.reset();
    for (const { state, queue, kind, count } of slots) if (state === shown) gauge.set({ queue, kind }, count);
  };
  registry.registerMetric(
    new Gauge({
      name: 'baton_worker_slots_used',
      help: 'Slots of Temporal workers that work on something, by task queue and kind (workflow, activity, local-activity)',
      labelNames: ['queue', 'kind'],
      registers: [],
      async collect() {
        await show(this, 'used');
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: 'baton_worker_slots_available',
      help: 'Slots of Temporal workers that are free, by task queue and kind: at 0, further work waits',
      labelNames: ['queue', 'kind'],
      registers: [],
      async collect() {
        await show(this, 'available');
      },
    }),
  );
}
