import type { GroupAccess, HookOwner } from '../ports/forge.ts';
import type { HealthInput } from '../workflows/health.ts';
import type { Config } from './config.ts';
import { findApps } from './forge.ts';
import type { GroupConfig } from './group.ts';
import { toGroupSettings } from './group-settings.ts';

/** Lists of forges and clouds lag behind for less than this. */
const MAX_GRACE_MS = 5 * 60_000;

/** How often this group is checked, milliseconds. */
export function getHealthInterval(config: Config, group: GroupConfig): number {
  return group.health_check_interval ?? config.health_check_interval;
}

/** Who may use a group's runners, as it is set on the forge. */
export function toGroupAccess(group: GroupConfig): GroupAccess {
  const { repositories, allow_public_repositories: allowPublic, workflows, adopt } = group;
  return { repositories, allowPublic, workflows, ...(adopt && { adopt }) };
}

/** The input of a group's health check. */
export function toHealthInput(config: Config, group: GroupConfig): HealthInput {
  return {
    settings: toGroupSettings(config, group),
    access: toGroupAccess(group),
    graceMs: Math.min(MAX_GRACE_MS, Math.round(getHealthInterval(config, group) / 2)),
    hooks: findHookOwners(config, group),
    hookUrl: config.webhook.url,
  };
}

/** The webhook owners whose deliveries this group checks: the first group of an App, organisation or repository does it. */
function findHookOwners(config: Config, group: GroupConfig): HookOwner[] {
  if (findApps(config.forge, group.organization).length > 0) return config.groups[0] === group ? [{ kind: 'app' }] : [];
  const { organization, repository } = group;
  const isFirst = (same: (other: GroupConfig) => boolean): boolean => config.groups.find(same) === group;
  const sameOwner = (other: GroupConfig): boolean => lower(other.organization) === lower(organization);
  const hooks: HookOwner[] = [];
  if (isFirst(sameOwner)) hooks.push({ kind: 'organization', organization });
  const sameRepository = (other: GroupConfig): boolean =>
    sameOwner(other) && lower(other.repository ?? '') === lower(repository ?? '');
  if (repository !== undefined && isFirst(sameRepository)) {
    hooks.push({ kind: 'repository', organization, repository });
  }
  return hooks;
}

const lower = (text: string): string => text.toLowerCase();
