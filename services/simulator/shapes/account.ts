import type { components } from '@octokit/openapi-types';
import type { Account } from '../state.ts';
import type { Urls } from '../simulation.ts';

/** The types of GitHub's own API description. */
export type Schemas = components['schemas'];

export const toNodeId = (prefix: string, id: number): string =>
  `${prefix}_${Buffer.from(String(id)).toString('base64url')}`;

/** A time as GitHub writes it: whole seconds, UTC. */
export const toIsoSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** An account as `owner`, `actor` or `sender`. */
export function toSimpleUser(
  urls: Urls,
  { login, id }: { login: string; id: number },
  type: 'Organization' | 'User' | 'Bot' = 'Organization',
): Schemas['simple-user'] {
  const url = `${urls.api}/users/${login}`;
  return {
    login,
    id,
    node_id: toNodeId(type === 'Organization' ? 'O' : 'U', id),
    avatar_url: `${urls.web}/avatars/u/${id}?v=4`,
    gravatar_id: '',
    url,
    html_url: `${urls.web}/${login}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type,
    user_view_type: 'public',
    site_admin: false,
  };
}

export const PUSHER = { login: 'octocat', id: 583_231 };

export function toOrganizationShape(urls: Urls, account: Account): Schemas['organization-simple-webhooks'] {
  const url = `${urls.api}/orgs/${account.login}`;
  return {
    login: account.login,
    id: account.id,
    node_id: toNodeId('O', account.id),
    url,
    repos_url: `${url}/repos`,
    events_url: `${url}/events`,
    hooks_url: `${url}/hooks`,
    issues_url: `${url}/issues`,
    members_url: `${url}/members{/member}`,
    public_members_url: `${url}/public_members{/member}`,
    avatar_url: `${urls.web}/avatars/u/${account.id}?v=4`,
    description: null,
  };
}
