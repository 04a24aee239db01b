import type { ProxiesEvent, ProxiesSettings } from '../workflows/delegation.ts';
import type { JobNotice } from '../workflows/job.ts';
import type { RunnerReport } from '../workflows/runner.ts';

/**
 * All local activities. A local activity keeps the slot of its workflow task until it ends, and without free slots no workflow of
 * this worker goes on. So each of these sends one signal and waits for nothing but Temporal's server: no query, update or result
 * of a workflow, no message on the bus, no call to the forge. They get a {@link Signaller}, which can do nothing else.
 */
export interface LocalActivities {
  /** Signals the dispatcher that the runner serves no job any more, although its instance still exists. */
  reportLeaving(order: { group: string; runner: string; failed: boolean }): Promise<void>;
  /** Signals the dispatcher that the runner's instance is gone, and what its instance was used for. `missing`: there is no dispatcher. */
  reportGone(order: RunnerReport): Promise<'signalled' | 'missing'>;
  /** Signals the group's dispatcher that a demand exists, or that it ended. */
  signalDemand(order: { group: string; job: JobNotice }): Promise<void>;
  /** Signals the group's proxies workflow, starting it where it does not run. */
  signalProxies(order: { proxies: ProxiesSettings; events: ProxiesEvent[] }): Promise<void>;
}
