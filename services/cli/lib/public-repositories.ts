import { z } from 'zod';
import { toApiUrl } from '../../../activities/forges/github/client.ts';
import type { Config } from '../../../contracts/config/config.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';

/** How long the forge may take to answer all questions about one organisation, milliseconds. */
const TIMEOUT_MS = 5000;
const PAGE_SIZE = 100;
/** Of an organisation with more, the newest count. */
const MAX_PAGES = 5;
const SHOWN = 3;

const publicRepositories = z.array(z.object({ name: z.string() }));

/** What the forge says of the access of public repositories. */
export interface PublicAccess {
  /** One for each group that a public repository may use. */
  warnings: string[];
  /** One for each organisation that the forge said nothing of. */
  unknown: string[];
}

/**
 * Asks the forge which public repositories may use the groups: a stranger's pull request can run code on their runners. Runner groups
 * that Baton did not make are never opened, and not asked about. Uses the forge's token where it is set here, and otherwise asks
 * without one, which GitHub answers.
 *
 * Source: https://docs.github.com/en/rest/repos/repos#list-organization-repositories
 */
export async function examinePublicAccess({ forge, groups }: Config): Promise<PublicAccess> {
  const open = groups.filter(
    (group) => group.repository === undefined && group.allow_public_repositories && !group.adopt,
  );
  const token = forge.token && process.env[forge.token.env];
  const found: PublicAccess = { warnings: [], unknown: [] };
  for (const organization of new Set(open.map((group) => group.organization))) {
    try {
      const names = await listPublicRepositories(forge.url, organization, token);
      for (const group of open.filter((one) => one.organization === organization)) {
        const allowed = group.repositories?.map((name) => name.toLowerCase());
        const theirs = names.filter((name) => allowed === undefined || allowed.includes(name.toLowerCase()));
        if (theirs.length > 0) found.warnings.push(toWarning(group.name, organization, theirs));
      }
    } catch (error) {
      const reason = error instanceof Error && error.name === 'TimeoutError' ? 'no answer' : getErrorMessage(error);
      found.unknown.push(`not known whether ${organization} has public repositories: ${forge.url}: ${reason}`);
    }
  }
  return found;
}

function toWarning(group: string, organization: string, names: readonly string[]): string {
  const shown = names.slice(0, SHOWN).map((name) => `${organization}/${name}`);
  const more = names.length > SHOWN ? ' and others' : '';
  return (
    `groups ${group}: public repositories may use it: ${shown.join(', ')}${more}. Whoever opens a pull request there can run code on its ` +
    'runners. Set allow_public_repositories: false, unless that is meant'
  );
}

async function listPublicRepositories(url: string, organization: string, token: string | undefined): Promise<string[]> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const headers = {
    accept: 'application/vnd.github+json',
    'user-agent': 'baton',
    ...(token !== undefined && token !== '' && { authorization: `Bearer ${token}` }),
  };
  const names: string[] = [];
  for (let page = 1; page <= MAX_PAGES; page++) {
    const path = `orgs/${encodeURIComponent(organization)}/repos?type=public&per_page=${PAGE_SIZE}&page=${page}`;
    const response = await fetch(`${toApiUrl(url)}/${path}`, { headers, signal });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const repositories = publicRepositories.parse(await response.json());
    names.push(...repositories.map(({ name }) => name));
    if (repositories.length < PAGE_SIZE) break;
  }
  return names;
}
