/** All that the capacity workflow of a capped backend takes and answers. Pure: workflow code imports this. */

export const CAPACITY_WORKFLOW = 'capacity';

export const capacityWorkflowId = (backend: string): string => `capacity/${backend}`;

export interface CapacityInput {
  backend: string;
}

/** Signal; its argument is a batch: {@link CapacityEvent}[]. */
export const CAPACITY_EVENTS = 'capacityEvents';

export type CapacityEvent =
  /** `max` null: the backend has no cap any more, and the workflow ends. */
  { type: 'configure'; max: number | null; groups: string[] } | { type: 'request'; request: SlotRequest };

/**
 * What a dispatcher asks of a capped backend. All of it is absolute, so that it may arrive twice; of two requests, the one
 * with the higher number holds. Until the grant arrives, the group starts no runner on that backend.
 */
export interface SlotRequest {
  backend: string;
  group: string;
  number: number;
  priority: number;
  /** Runners that exist, each of which holds a slot. */
  held: number;
  /** One entry for each slot wanted: since when its job waits, milliseconds since the epoch; null for an idle runner. */
  wanted: (number | null)[];
}

/** The answer to request `number`: the group may have `allowed` runners on that backend in all. */
export interface SlotGrant {
  backend: string;
  number: number;
  allowed: number;
}

/** Query; answers {@link CapacitySnapshot}. */
export const CAPACITY_STATUS = 'capacityStatus';

export interface CapacitySnapshot {
  backend: string;
  max: number;
  groups: { group: string; priority: number; allowed: number; wanted: number; oldestSince: string | null }[];
  /** Groups that have not reported their runners yet: no slot is granted until they have. */
  silent: string[];
}
