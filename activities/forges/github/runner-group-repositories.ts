import { z } from 'zod';
import type { CallOptions } from '../../../contracts/ports/forge.ts';
import type { GithubClient } from './client.ts';
import { getGithubStatus, isRefusal } from './errors.ts';
import { readPages } from './pages.ts';

const repository = z.object({ id: z.number(), name: z.string(), full_name: z.string() });
const repositoryList = z.object({ repositories: z.array(repository) });

const PATH = '/orgs/{org}/actions/runner-groups/{runner_group_id}/repositories';

/** A runner group whose list of repositories is compared. */
export interface RepositoriesOrder {
  group: { org: string; id: number; visibility: string };
  /** The configured ones, without the owner. */
  names: readonly string[];
  /** Whether Baton made the group: only then are repositories added. */
  isOurs: boolean;
}

/**
 * Sets the repositories that may use a group. A configured repository that GitHub refuses to show costs that repository only.
 *
 * @returns the changes; notes about names; what was left as it is because Baton did not make the group
 */
export async function reconcileRepositories(
  client: GithubClient,
  { group: { org, id, visibility }, names, isOurs }: RepositoriesOrder,
  { signal }: CallOptions,
): Promise<{ changes: string[]; notes: string[]; left: string[] }> {
  const now = new Map<string, number>();
  for await (const page of readPages(client, `GET ${PATH}`, { org, runner_group_id: id }, signal)) {
    for (const one of repositoryList.parse(page).repositories) now.set(one.name.toLowerCase(), one.id);
  }
  // A name in the list needs no look-up.
  const others = names.filter((name) => !now.has(name.toLowerCase()));
  const { ids, notes } = await findRepositoryIds(client, org, others, { signal });
  const present = new Set(now.values());
  const configured = names
    .map((name) => now.get(name.toLowerCase()) ?? ids.get(name))
    .filter((one) => one !== undefined);
  // In a group that was open to all, every list takes access away.
  const mayAdd = isOurs || visibility === 'all';
  const wanted = new Set(configured.filter((one) => mayAdd || present.has(one)));
  const missing = others.filter((name) => {
    const found = ids.get(name);
    return found !== undefined && !wanted.has(found);
  });
  const left = missing.length === 0 ? [] : [`repositories lack ${missing.join(', ')}`];
  if (wanted.size === present.size && [...wanted].every((one) => present.has(one))) {
    return { changes: [], notes, left };
  }
  await client.request(`PUT ${PATH}`, { org, runner_group_id: id, selected_repository_ids: [...wanted] });
  const added = names.filter((name) => {
    const found = now.get(name.toLowerCase()) ?? ids.get(name);
    return found !== undefined && wanted.has(found);
  });
  return { changes: [`reset repositories to ${added.join(', ')}`], notes, left };
}

/** The ids of an owner's repositories. A renamed one answers under its old name with its new one. */
export async function findRepositoryIds(
  client: GithubClient,
  owner: string,
  names: readonly string[],
  { signal }: CallOptions = {},
): Promise<{ ids: Map<string, number>; notes: string[] }> {
  const ids = new Map<string, number>();
  const notes: string[] = [];
  for (const repo of names) {
    try {
      const answer = await client.request('GET /repos/{owner}/{repo}', { owner, repo, request: { signal } });
      const found = repository.parse(answer.data);
      ids.set(repo, found.id);
      if (found.full_name.toLowerCase() !== `${owner}/${repo}`.toLowerCase()) {
        notes.push(`${owner}/${repo} is ${found.full_name} now: change it in the configuration`);
      }
    } catch (error) {
      if (!isRefusal(error)) throw error;
      notes.push(`cannot use repository ${owner}/${repo}: GitHub answered ${getGithubStatus(error)}`);
    }
  }
  return { ids, notes };
}
