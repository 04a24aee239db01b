import type { Account, GithubApp } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { PUSHER, toSimpleUser, type Schemas } from './account.ts';

const MADE = '2024-01-01T00:00:00Z';
const APP_EVENTS = ['workflow_job'];

/** The permissions that Baton's App needs. */
export const DEFAULT_PERMISSIONS: Readonly<Record<string, 'read' | 'write'>> = {
  actions: 'write',
  administration: 'write',
  metadata: 'read',
  repository_hooks: 'write',
  organization_hooks: 'write',
  organization_self_hosted_runners: 'write',
};

export function toAppShape(sim: Simulation, app: GithubApp): object {
  return {
    id: app.id,
    slug: app.slug,
    node_id: `A_${app.id}`,
    client_id: app.clientId,
    owner: toSimpleUser(sim.urls, { login: 'octo-apps', id: 1 }),
    name: 'Baton',
    description: 'Self-hosted runners',
    external_url: sim.urls.web,
    html_url: `${sim.urls.web}/apps/${app.slug}`,
    created_at: MADE,
    updated_at: MADE,
    permissions: app.permissions,
    events: APP_EVENTS,
    installations_count: sim.state.accounts.size,
  };
}

export function toInstallationShape(sim: Simulation, app: GithubApp, account: Account): Schemas['installation'] {
  const id = account.installations.get(app.id) ?? 0;
  return {
    id,
    account: toSimpleUser(sim.urls, account),
    repository_selection: 'all',
    access_tokens_url: `${sim.urls.api}/app/installations/${id}/access_tokens`,
    repositories_url: `${sim.urls.api}/installation/repositories`,
    html_url: `${sim.urls.web}/organizations/${account.login}/settings/installations/${id}`,
    app_id: app.id,
    app_slug: app.slug,
    target_id: account.id,
    target_type: 'Organization',
    permissions: app.permissions,
    events: APP_EVENTS,
    created_at: MADE,
    updated_at: MADE,
    single_file_name: null,
    has_multiple_single_files: false,
    single_file_paths: [],
    suspended_by: app.suspended ? toSimpleUser(sim.urls, PUSHER, 'User') : null,
    suspended_at: app.suspended ? MADE : null,
  };
}
