import type { InstanceSpec } from '../ports/backend.ts';
import type { ForgeScope } from '../ports/forge.ts';

/** A group's settings for its workflows. The services read them from the configuration. */
export interface GroupSettings {
  /** The name of the Baton installation: `name` in the configuration. */
  installation: string;
  name: string;
  forge: string;
  scope: ForgeScope;
  labels: string[];
  max: number;
  min: number;
  backend: string;
  /** The most instances of all groups on that backend; null: no cap, so no slot is requested. */
  backendMax: number | null;
  /** 1 comes first, 5 last. */
  priority: number;
  timeToStartMs: number;
  timeToLiveMs: number;
  /** The part of {@link InstanceSpec} that is the same for every runner of the group. */
  instance: Omit<InstanceSpec, 'installation' | 'group' | 'runner' | 'startBy' | 'expiresAt'>;
}

/** The settings that a runner is made of: when they change, existing runners are outdated. */
export function runnerFingerprint({ scope, labels, backend, instance, forge }: GroupSettings): string {
  return JSON.stringify([scope, labels, backend, instance, forge]);
}
