import type { Instance } from '../../../contracts/ports/backend.ts';
import type { GceInstance } from './answers.ts';
import { GCE_LABELS } from './instance-resource.ts';

/** The states of an instance that ends or has ended: by its own power-off, by a user or by Compute Engine. */
const ENDED = new Set([
  'STOPPING',
  'PENDING_STOP',
  'STOPPED',
  'TERMINATED',
  'SUSPENDING',
  'SUSPENDED',
  'DEPROVISIONING',
]);

/** The type of the operation that ends a preempted spot instance. */
export const PREEMPTED = 'compute.instances.preempted';

export const PREEMPTION_REASON = 'Compute Engine took the spot instance back (preempted)';

/** Converts an instance of Compute Engine; the id includes its zone. */
export function toInstance(found: GceInstance): Instance {
  const spot = found.scheduling.provisioningModel === 'SPOT';
  const common = {
    id: `${found.zone}/${found.id}`,
    runner: found.name,
    group: found.labels[GCE_LABELS.group] ?? '',
    createdAt: new Date(found.creationTimestamp).toISOString(),
    machine: found.machineType,
    market: spot ? ('spot' as const) : ('on-demand' as const),
  };
  if (!ENDED.has(found.status)) return { ...common, state: 'running' };
  const because = found.statusMessage ? `: ${found.statusMessage.slice(0, 300)}` : '';
  return { ...common, state: 'dead', exitCode: null, reason: `the machine is ${found.status}${because}` };
}
