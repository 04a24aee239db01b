import { z } from 'zod';
import type { GithubClient } from './client.ts';
import { githubError, statusOf } from './errors.ts';

const groupList = z.object({
  total_count: z.number(),
  runner_groups: z.array(z.object({ id: z.number(), name: z.string() })),
});
const group = z.object({ id: z.number() });

const KEPT_MS = 5 * 60_000;
const PER_PAGE = 100;

/** An organisation's runner groups by name; one that isn't there is made. Ids are kept for five minutes. */
export class RunnerGroups {
  readonly #client: GithubClient;
  readonly #ids = new Map<string, { id: Promise<number>; until: number }>();

  constructor(client: GithubClient) {
    this.#client = client;
  }

  /**
   * @throws BatonError FORGE_*
   * @see https://docs.github.com/en/rest/actions/self-hosted-runner-groups
   */
  async idOf(organization: string, name: string): Promise<number> {
    const key = `${organization}/${name}`.toLowerCase();
    const kept = this.#ids.get(key);
    if (kept !== undefined && kept.until > Date.now()) return await kept.id;
    const id = this.#find(organization, name).catch((error: unknown) => {
      this.#ids.delete(key);
      throw githubError(`looking for runner group ${name} of ${organization}`, error);
    });
    this.#ids.set(key, { id, until: Date.now() + KEPT_MS });
    return await id;
  }

  async #find(org: string, name: string): Promise<number> {
    const found = await this.#list(org, name);
    if (found !== undefined) return found;
    try {
      const made = await this.#client.request('POST /orgs/{org}/actions/runner-groups', {
        org,
        name,
        visibility: 'all',
        allows_public_repositories: true,
      });
      return group.parse(made.data).id;
    } catch (error) {
      // Another orchestrator made it in between.
      const late = statusOf(error) === 409 || statusOf(error) === 422 ? await this.#list(org, name) : undefined;
      if (late !== undefined) return late;
      throw error;
    }
  }

  async #list(org: string, name: string): Promise<number | undefined> {
    for (let page = 1; ; page++) {
      const answer = await this.#client.request('GET /orgs/{org}/actions/runner-groups', {
        org,
        per_page: PER_PAGE,
        page,
      });
      const { runner_groups: groups } = groupList.parse(answer.data);
      const found = groups.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
      if (found !== undefined) return found.id;
      if (groups.length < PER_PAGE) return undefined;
    }
  }
}
