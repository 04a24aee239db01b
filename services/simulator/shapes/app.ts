import type { Account } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { toSimpleUser, type Schemas } from './account.ts';

const MADE = '2024-01-01T00:00:00Z';
const APP_SLUG = 'baton';
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

export function toAppShape(sim: Simulation, app: { id: number; permissions: Record<string, string> }): object {
  return {
    id: app.id,
    slug: APP_SLUG,
    node_id: `A_${app.id}`,
    client_id: `Iv23li${String(app.id).padStart(14, '0')}`,
    owner: toSimpleUser(sim.urls, { login: 'octo-apps', id: 1 }),
    name: 'Baton',
    description: 'Self-hosted runners',
    external_url: sim.urls.web,
    html_url: `${sim.urls.web}/apps/${APP_SLUG}`,
    created_at: MADE,
    updated_at: MADE,
    permissions: app.permissions,
    events: APP_EVENTS,
    installations_count: sim.state.accounts.size,
  };
}

export function toInstallationShape(
  sim: Simulation,
  app: { id: number; permissions: Record<string, string> },
  account: Account,
): Schemas['installation'] {
  const id = account.installationId ?? 0;
  return {
    id,
    account: toSimpleUser(sim.urls, account),
    repository_selection: 'all',
    access_tokens_url: `${sim.urls.api}/app/installations/${id}/access_tokens`,
    repositories_url: `${sim.urls.api}/installation/repositories`,
    html_url: `${sim.urls.web}/organizations/${account.login}/settings/installations/${id}`,
    app_id: app.id,
    app_slug: APP_SLUG,
    target_id: account.id,
    target_type: 'Organization',
    permissions: app.permissions,
    events: APP_EVENTS,
    created_at: MADE,
    updated_at: MADE,
    single_file_name: null,
    has_multiple_single_files: false,
    single_file_paths: [],
    suspended_by: null,
    suspended_at: null,
  };
}
