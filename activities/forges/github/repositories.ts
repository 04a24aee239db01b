import { z } from 'zod';
import type { ForgeScope } from '../../../contracts/ports/forge.ts';
import type { GithubClient } from './client.ts';
import { findNextPage } from './pages.ts';

const repositoryList = z.array(
  z.object({ name: z.string(), archived: z.boolean().default(false), disabled: z.boolean().default(false) }),
);

/**
 * Of an organisation's repositories, each look reads this many of those pushed to last, and the next page of the rest.
 */
const REPOSITORIES_PER_PAGE = 20;

/** The repositories that a look reads: those pushed to last, and the others in turn. */
export class RepositoryTurns {
  readonly #client: GithubClient;
  /** The page of the others that comes next, by organisation. */
  readonly #next = new Map<string, number>();

  constructor(client: GithubClient) {
    this.#client = client;
  }

  /** @returns names without the owner, without repositories in which nothing can run */
  async list(scope: ForgeScope, signal: AbortSignal): Promise<string[]> {
    const { organization, repository } = scope;
    if (repository !== undefined) return [repository];
    const newest = await this.#list(organization, 1, signal);
    if (!newest.more) return newest.names;
    const key = organization.toLowerCase();
    const page = this.#next.get(key) ?? 2;
    const others = await this.#list(organization, page, signal);
    this.#next.set(key, others.more ? page + 1 : 2);
    // A push meanwhile may move a repository from one page to another.
    return [...new Set([...newest.names, ...others.names])];
  }

  async #list(org: string, page: number, signal: AbortSignal): Promise<{ names: string[]; more: boolean }> {
    const answer = await this.#client.request('GET /orgs/{org}/repos', {
      org,
      sort: 'pushed',
      direction: 'desc',
      per_page: REPOSITORIES_PER_PAGE,
      page,
      request: { signal },
    });
    const listed = repositoryList.parse(answer.data);
    return {
      names: listed.filter(({ archived, disabled }) => !archived && !disabled).map(({ name }) => name),
      more: findNextPage(answer.headers.link) !== undefined,
    };
  }
}
