import type { JobNeeds } from '../../../contracts/workflows/job.ts';
import type { Config } from '../../../contracts/config/config.ts';
import { servesDelegation } from '../../../contracts/config/delegation.ts';
import type { GroupConfig } from '../../../contracts/config/group.ts';
import type { JobEvent } from '../../../contracts/messages/job-event.ts';
import { isHosted } from './hosted.ts';

/** Whether one group serves a job. */
export interface Verdict {
  group: string;
  fits: boolean;
  /** One clause, such as `lacks gpu`. */
  why: string;
}

/**
 * Which group serves a job, or why none does.
 */
export interface Match {
  group: GroupConfig | undefined;
  /** No group serves the job, and it asks for one of the forge's own machines: not an error. */
  hosted: boolean;
  /** No group serves the job directly. A proxy runner takes it, and delegates it to a group that serves only delegations. */
  proxies: boolean;
  /** One sentence. */
  reason: string;
  /** In the order of the configuration. */
  verdicts: Verdict[];
}

/** The label that every runner has by itself: a job may name it or not. */
export const IMPLIED_LABEL = 'self-hosted';

/** What the job of a forge's event asks for. */
export function toJobNeeds({ repository, job }: Pick<JobEvent, 'repository' | 'job'>): JobNeeds {
  return {
    repository: repository.fullName,
    private: repository.private,
    labels: job.labels,
    workflow: job.workflow,
  };
}

/**
 * Finds the group for a job: one that serves the job's repository and workflow and has all of the job's labels. Only the
 * workflow's name is case-sensitive. Among several groups it is the one with the fewest labels, since its runners are the least
 * specialised; among equals the first in the configuration.
 *
 * A job without labels asks for a group by name, and a forge reports that name only once a runner has the job: the same rule applies.
 *
 * @param reserved whether a group serves only delegations
 */
export function matchJob(
  needs: JobNeeds,
  groups: readonly GroupConfig[],
  reserved: (group: GroupConfig) => boolean = () => false,
): Match {
  let best: GroupConfig | undefined;
  const verdicts = groups.map((group): Verdict => {
    const obstacle = reserved(group) ? 'serves only delegations' : findObstacle(needs, group);
    if (obstacle !== undefined) return { group: group.name, fits: false, why: obstacle };
    if (best === undefined || size(group) < size(best)) best = group;
    const count = size(group);
    return { group: group.name, fits: true, why: `fits, with ${count} ${count === 1 ? 'label' : 'labels'}` };
  });
  const asks = needs.labels.length === 0 ? 'without labels' : `with labels ${needs.labels.join(', ')}`;
  if (best !== undefined) {
    const fitting = verdicts.filter(({ fits }) => fits).length;
    const choice = fitting === 1 ? 'the only one that fits' : `of ${fitting} that fit, the one with the fewest labels`;
    return { group: best, hosted: false, proxies: false, reason: `${best.name} is ${choice}`, verdicts };
  }
  if (isHosted(needs.labels)) {
    const reason = `a job ${asks} runs on the forge’s own machines`;
    return { group: undefined, hosted: true, proxies: false, reason, verdicts };
  }
  const words = verdicts.map(({ group, why }) => `${group} ${why}`).join('; ');
  const reason = `no group serves a job of ${needs.repository} ${asks}: ${words}`;
  return { group: undefined, hosted: false, proxies: false, reason, verdicts };
}

/** {@link matchJob} for a configuration, in which a group that serves delegations takes no job directly. */
export function matchConfig(needs: JobNeeds, config: Pick<Config, 'groups' | 'delegation'>): Match {
  const serves = ({ name }: GroupConfig): boolean => servesDelegation(config, name);
  const match = matchJob(needs, config.groups, serves);
  if (match.group !== undefined) return match;
  const { group } = matchJob(needs, config.groups.filter(serves));
  if (group === undefined) return match;
  return { ...match, proxies: true, reason: `a proxy takes it and delegates it to ${group.name}` };
}

/** Why the group does not serve the job; undefined where it does. */
function findObstacle(needs: JobNeeds, group: GroupConfig): string | undefined {
  const [owner = '', name = ''] = needs.repository.split('/');
  if (!same(group.organization, owner)) return `is for ${group.organization}`;
  if (group.repository !== undefined && !same(group.repository, name)) {
    return `is for ${group.organization}/${group.repository}`;
  }
  if (group.repositories && !group.repositories.some((allowed) => same(allowed, name))) {
    return `serves only the repositories ${group.repositories.join(', ')}`;
  }
  if (!group.allow_public_repositories && !needs.private) return 'serves no public repositories';
  if (group.workflow !== undefined && group.workflow !== needs.workflow) {
    return `takes only jobs of the workflow "${group.workflow}"`;
  }
  const has = new Set(group.labels.map(lower));
  const lacks = [...new Set(needs.labels.map(lower))].filter((label) => label !== IMPLIED_LABEL && !has.has(label));
  return lacks.length === 0 ? undefined : `lacks ${lacks.join(', ')}`;
}

function size(group: GroupConfig): number {
  return new Set(group.labels.map(lower).filter((label) => label !== IMPLIED_LABEL)).size;
}

function same(a: string, b: string): boolean {
  return lower(a) === lower(b);
}

function lower(text: string): string {
  return text.toLowerCase();
}
