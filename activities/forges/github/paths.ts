import type { ForgeScope } from '../../../contracts/ports/forge.ts';

/** The API's path of an organisation or of a repository: `/orgs/acme`, `/repos/acme/web`. */
export function toScopePath({ organization, repository }: ForgeScope): string {
  return repository
    ? `/repos/${encodeURIComponent(organization)}/${encodeURIComponent(repository)}`
    : `/orgs/${encodeURIComponent(organization)}`;
}

/** The API's path of a repository `owner/name`. */
export function toRepositoryPath(fullName: string): string {
  const [organization = '', repository = ''] = fullName.split('/');
  return `/repos/${encodeURIComponent(organization)}/${encodeURIComponent(repository)}`;
}

/** `acme` or `acme/web`, for messages. */
export function toScopeName({ organization, repository }: ForgeScope): string {
  return repository ? `${organization}/${repository}` : organization;
}
