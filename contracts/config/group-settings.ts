import type { GroupSettings } from '../workflows/group-settings.ts';
import type { Config } from './config.ts';
import type { GroupConfig } from './group.ts';
import { toHookSettings } from './hooks.ts';

/** A group of the configuration as its workflows get it, with defaults filled in. */
export function toGroupSettings(config: Config, group: GroupConfig): GroupSettings {
  return {
    installation: config.name,
    name: group.name,
    forge: config.forge.type,
    scope: { organization: group.organization, repository: group.repository },
    labels: group.labels,
    max: group.max,
    min: group.min,
    backend: group.backend,
    backendMax: config.backends[group.backend]?.max ?? null,
    priority: group.priority,
    timeToStartMs: group.time_to_start ?? config.time_to_start,
    timeToLiveMs: group.time_to_live ?? config.time_to_live,
    instance: {
      image: group.instance.image,
      cpu: group.instance.cpu,
      memoryBytes: group.instance.memory,
      diskBytes: group.instance.disk,
      pids: group.instance.pids,
      user: group.instance.user,
      hooks: toHookSettings(group),
      program: { directory: group.runner.directory, command: group.runner.command },
    },
  };
}
