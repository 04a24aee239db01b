import { z } from 'zod';
import type { GroupAccess } from '../../../contracts/ports/forge.ts';

/** A runner group as GitHub lists it. */
export const runnerGroup = z.object({
  id: z.number(),
  name: z.string(),
  visibility: z.string(),
  inherited: z.boolean().default(false),
  allows_public_repositories: z.boolean(),
  restricted_to_workflows: z.boolean().default(false),
  selected_workflows: z.array(z.string()).default([]),
});

export type ListedGroup = z.infer<typeof runnerGroup>;

/** The settings of a runner group that GitHub takes, without its repositories. */
export interface RunnerGroupSettings {
  name: string;
  visibility: 'all' | 'selected';
  allows_public_repositories: boolean;
  restricted_to_workflows: boolean;
  selected_workflows?: string[];
}

/** A setting that differs, and whether the configured value lets more jobs in than the present one. */
interface Difference {
  setting: keyof RunnerGroupSettings;
  now: unknown;
  configured: unknown;
  widens: boolean;
}

export function toRunnerGroupSettings(
  name: string,
  { repositories, allowPublic, workflows }: GroupAccess,
): RunnerGroupSettings {
  return {
    name,
    visibility: repositories === undefined ? 'all' : 'selected',
    allows_public_repositories: allowPublic,
    restricted_to_workflows: workflows !== undefined,
    ...(workflows === undefined ? {} : { selected_workflows: workflows }),
  };
}

/** In which settings a group differs from the configuration. */
export function compareSettings(found: ListedGroup, wanted: RunnerGroupSettings): Difference[] {
  const settings = [
    'name',
    'visibility',
    'allows_public_repositories',
    'restricted_to_workflows',
    'selected_workflows',
  ] as const;
  return settings
    .filter((setting) => wanted[setting] !== undefined && !isSame(found[setting], wanted[setting]))
    .map((setting) => ({
      setting,
      now: found[setting],
      configured: wanted[setting],
      widens: isWider(setting, found, wanted),
    }));
}

function isWider(setting: keyof RunnerGroupSettings, found: ListedGroup, wanted: RunnerGroupSettings): boolean {
  switch (setting) {
    case 'name':
      return false;
    case 'visibility':
      // `private` allows all private repositories: the configured ones may be others.
      return found.visibility !== 'all';
    case 'allows_public_repositories':
      return wanted.allows_public_repositories;
    case 'restricted_to_workflows':
      return !wanted.restricted_to_workflows;
    case 'selected_workflows': {
      const allowed = new Set(found.selected_workflows);
      return found.restricted_to_workflows && !wanted.selected_workflows?.every((workflow) => allowed.has(workflow));
    }
    default:
      return setting satisfies never;
  }
}

/** GitHub returns lists in any order. */
function isSame(one: unknown, other: unknown): boolean {
  const sorted = (value: unknown): unknown => (Array.isArray(value) ? value.map(String).sort() : value);
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}
