import { z } from 'zod';
import type { GroupAccess } from '../../../contracts/ports/forge.ts';
import type { GithubClient } from './client.ts';
import { toGithubError, getGithubStatus } from './errors.ts';
import { readPages } from './pages.ts';

const group = z.object({
  id: z.number(),
  name: z.string(),
  visibility: z.string(),
  inherited: z.boolean().default(false),
  allows_public_repositories: z.boolean(),
  restricted_to_workflows: z.boolean().default(false),
  selected_workflows: z.array(z.string()).default([]),
});
const groupList = z.object({ runner_groups: z.array(group) });
const repositoryList = z.object({ repositories: z.array(z.object({ id: z.number() })) });
const repository = z.object({ id: z.number() });

type Group = z.infer<typeof group>;

const ID_CACHE_MS = 5 * 60_000;
const PATH = '/orgs/{org}/actions/runner-groups';

/**
 * An organisation's runner groups by name. A missing group is created, at once with its configured access. Ids are
 * cached for five minutes.
 *
 * @see https://docs.github.com/en/rest/actions/self-hosted-runner-groups
 */
export class RunnerGroups {
  readonly #client: GithubClient;
  readonly #ids = new Map<string, { id: Promise<number>; until: number }>();

  constructor(client: GithubClient) {
    this.#client = client;
  }

  /** @throws BatonError FORGE_* */
  async findId(organization: string, name: string, access: GroupAccess): Promise<number> {
    const key = `${organization}/${name}`.toLowerCase();
    const kept = this.#ids.get(key);
    if (kept !== undefined && kept.until > Date.now()) return await kept.id;
    const id = this.#find(organization, name, access)
      .then((found) => found.id)
      .catch((error: unknown) => {
        this.#ids.delete(key);
        throw toGithubError(`looking for runner group ${name} of ${organization}`, error);
      });
    this.#ids.set(key, { id, until: Date.now() + ID_CACHE_MS });
    return await id;
  }

  /**
   * Sets the group's name, visibility, repositories and workflows to the configured values.
   *
   * @returns the changes, one clause each
   * @throws BatonError FORGE_*
   */
  async reconcile(organization: string, name: string, access: GroupAccess): Promise<string[]> {
    try {
      const found = await this.#find(organization, name, access);
      if (found.inherited) return [];
      const changes = await this.#reconcileSettings(organization, found, name, access);
      if (access.repositories !== undefined) {
        changes.push(...(await this.#reconcileRepositories(organization, found.id, access.repositories)));
      }
      return changes;
    } catch (error) {
      throw toGithubError(`reconciling runner group ${name} of ${organization}`, error);
    }
  }

  async #reconcileSettings(org: string, found: Group, name: string, access: GroupAccess): Promise<string[]> {
    const wanted = toSettings(name, access);
    const drifted = Object.entries(wanted).filter(([key, value]) => {
      const now = Object.entries(found).find(([known]) => known === key)?.[1];
      return JSON.stringify(sorted(now)) !== JSON.stringify(sorted(value));
    });
    if (drifted.length === 0) return [];
    await this.#client.request(`PATCH ${PATH}/{runner_group_id}`, { org, runner_group_id: found.id, ...wanted });
    return drifted.map(([key, value]) => `reset ${key} to ${JSON.stringify(value)}`);
  }

  async #reconcileRepositories(org: string, id: number, names: readonly string[]): Promise<string[]> {
    const now = new Set<number>();
    for await (const page of readPages(this.#client, `GET ${PATH}/{runner_group_id}/repositories`, {
      org,
      runner_group_id: id,
    })) {
      for (const one of repositoryList.parse(page).repositories) now.add(one.id);
    }
    const wanted = new Set(await this.#findRepositoryIds(org, names));
    if (wanted.size === now.size && [...wanted].every((id) => now.has(id))) return [];
    await this.#client.request(`PUT ${PATH}/{runner_group_id}/repositories`, {
      org,
      runner_group_id: id,
      selected_repository_ids: [...wanted],
    });
    return [`reset repositories to ${names.join(', ')}`];
  }

  async #findRepositoryIds(owner: string, names: readonly string[]): Promise<number[]> {
    const ids: number[] = [];
    for (const repo of names) {
      const answer = await this.#client.request('GET /repos/{owner}/{repo}', { owner, repo });
      ids.push(repository.parse(answer.data).id);
    }
    return ids;
  }

  async #find(org: string, name: string, access: GroupAccess): Promise<Group> {
    const found = await this.#list(org, name);
    if (found !== undefined) return found;
    const { repositories } = access;
    const selected =
      repositories === undefined ? {} : { selected_repository_ids: await this.#findRepositoryIds(org, repositories) };
    try {
      const order = { org, ...toSettings(name, access), ...selected };
      return group.parse((await this.#client.request(`POST ${PATH}`, order)).data);
    } catch (error) {
      // Another orchestrator has created it meanwhile, or an earlier answer was lost.
      const late =
        getGithubStatus(error) === 409 || getGithubStatus(error) === 422 ? await this.#list(org, name) : undefined;
      if (late !== undefined) return late;
      throw error;
    }
  }

  async #list(org: string, name: string): Promise<Group | undefined> {
    for await (const page of readPages(this.#client, `GET ${PATH}`, { org })) {
      const groups = groupList.parse(page).runner_groups;
      const found = groups.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function toSettings(name: string, { repositories, allowPublic, workflows }: GroupAccess) {
  return {
    name,
    visibility: repositories === undefined ? ('all' as const) : ('selected' as const),
    allows_public_repositories: allowPublic,
    restricted_to_workflows: workflows !== undefined,
    ...(workflows === undefined ? {} : { selected_workflows: workflows }),
  };
}

/** GitHub returns lists in any order. */
function sorted(value: unknown): unknown {
  return Array.isArray(value) ? value.map(String).sort() : value;
}
