import { z } from 'zod';
import type { CallOptions, ForgeScope } from '../../../contracts/ports/forge.ts';
import type { GithubClient } from './client.ts';
import { PER_PAGE } from './pages.ts';
import { toScopePath } from './paths.ts';

const runner = z.object({ id: z.number(), name: z.string(), busy: z.boolean(), status: z.string() });

/** A page of GitHub's list of self-hosted runners. */
export const runnerPage = z.object({ runners: z.array(runner) });

/** A self-hosted runner as GitHub lists it. */
export type GithubRunner = z.infer<typeof runner>;

/**
 * Finds a runner by its name.
 *
 * @returns undefined where none has it
 * @throws Octokit's RequestError
 * @see https://docs.github.com/en/rest/actions/self-hosted-runners#list-self-hosted-runners-for-an-organization
 */
export async function findGithubRunner(
  client: GithubClient,
  scope: ForgeScope,
  name: string,
  { signal }: CallOptions = {},
): Promise<GithubRunner | undefined> {
  const request = { signal };
  const found = await client.request(`GET ${toScopePath(scope)}/actions/runners`, {
    name,
    per_page: PER_PAGE,
    request,
  });
  return runnerPage.parse(found.data).runners.find((candidate) => candidate.name === name);
}
