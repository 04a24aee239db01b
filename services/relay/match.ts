import type { GroupConfig } from '../../contracts/config/group-config.ts';
import type { JobEvent } from '../../contracts/messages/job-event.ts';

/** Which group serves a job, or why none does. */
export type Match = { group: GroupConfig } | { reason: string };

/** Every runner of ours is one; a job may say so or not. */
const IMPLIED = 'self-hosted';

/**
 * The group whose runners the forge would give this job to: of the job's organisation (and repository, where the group
 * is for one alone), having all of the job's labels. Case counts nowhere. Of several, the one with the fewest labels, since
 * its runners are the least special; then the first in the configuration.
 */
export function matchGroup(
  event: Pick<JobEvent, 'repository'> & { job: Pick<JobEvent['job'], 'labels'> },
  groups: readonly GroupConfig[],
): Match {
  const { owner, name, fullName } = event.repository;
  const near = groups.filter(
    (group) => same(group.organization, owner) && (group.repository === undefined || same(group.repository, name)),
  );
  if (near.length === 0) return { reason: `no group is for ${fullName}` };

  const wanted = [...new Set(event.job.labels.map(lower))].filter((label) => label !== IMPLIED);
  let best: GroupConfig | undefined;
  for (const group of near) {
    if (missing(wanted, group).length > 0) continue;
    if (best === undefined || size(group) < size(best)) best = group;
  }
  if (best !== undefined) return { group: best };
  const lacks = near.map((group) => `${group.name} lacks ${missing(wanted, group).join(', ')}`).join('; ');
  return { reason: `no group of ${owner} has all labels of the job (${event.job.labels.join(', ')}): ${lacks}` };
}

function missing(wanted: readonly string[], group: GroupConfig): string[] {
  const has = new Set(group.labels.map(lower));
  return wanted.filter((label) => !has.has(label));
}

function size(group: GroupConfig): number {
  return new Set(group.labels.map(lower).filter((label) => label !== IMPLIED)).size;
}

function same(a: string, b: string): boolean {
  return lower(a) === lower(b);
}

function lower(text: string): string {
  return text.toLowerCase();
}
