import { GithubApps } from '../../activities/forges/github/apps.ts';
import { GithubAppsRuns } from '../../activities/forges/github/apps-runs.ts';
import { createGithubClient, type GithubAuth } from '../../activities/forges/github/client.ts';
import { Github } from '../../activities/forges/github/github.ts';
import { GroupOwnership } from '../../activities/forges/github/group-ownership.ts';
import type { MadeGroups } from '../../activities/forges/github/made-groups.ts';
import { GithubRuns } from '../../activities/forges/github/runs.ts';
import type { ForgeConfig } from '../../contracts/config/forge.ts';
import { readPrivateKey, readSecret } from '../../contracts/lib/read-secret.ts';
import { BatonError } from '../../contracts/errors.ts';
import type { Forge } from '../../contracts/ports/forge.ts';
import type { RunControl } from '../../contracts/ports/run-control.ts';
import type { Schedulers } from './rate-limit/schedulers.ts';

/**
 * Clients of the configured forge, for runners and for delegations. Reads the forge's credentials from the environment; each App
 * (or the token) has a scheduler of its own.
 *
 * @throws BatonError SECRET_MISSING, SECRET_INVALID
 */
export function createForge(
  config: ForgeConfig,
  schedulers: Schedulers,
  made: MadeGroups,
): { forge: Forge; runs: RunControl } {
  const ownership = new GroupOwnership(made);
  const apps = readCredentials(config).map(({ key, organization, auth }) => {
    const scheduler = schedulers.create(key, config.points_per_minute);
    const client = createGithubClient({ url: config.url, auth, scheduler });
    const forge = new Github(client, scheduler, ownership);
    return { organization, forge, runs: new GithubRuns(client), limits: scheduler };
  });
  const [first] = apps;
  if (first === undefined)
    throw new BatonError('CONFIG_INVALID', 'reading forge: no credential; set app, apps or token');
  return apps.length === 1 ? first : { forge: new GithubApps(apps, schedulers.scopes), runs: new GithubAppsRuns(apps) };
}

interface Credential {
  key: string;
  organization?: string | undefined;
  auth: GithubAuth;
}

function readCredentials(config: ForgeConfig): Credential[] {
  if (config.token) return [{ key: 'token', auth: { token: readSecret(config.token) } }];
  const apps = config.app === undefined ? (config.apps ?? []) : [config.app];
  return apps.map(({ id, installation, private_key: key, organization }) => ({
    key: `app-${id}-${installation}`,
    organization,
    auth: { app: { id, installation, privateKey: readPrivateKey(key) } },
  }));
}
