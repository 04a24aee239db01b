import { GithubApps } from '../../activities/forges/github/apps.ts';
import { GithubAppsRuns } from '../../activities/forges/github/apps-runs.ts';
import { createGithubClient, type GithubAuth } from '../../activities/forges/github/client.ts';
import { Github } from '../../activities/forges/github/github.ts';
import { GithubRuns } from '../../activities/forges/github/runs.ts';
import { getPointsPerMinute, type ForgeConfig } from '../../contracts/config/forge.ts';
import { readPrivateKey, readSecret } from '../../contracts/lib/read-secret.ts';
import { BatonError } from '../../contracts/errors.ts';
import type { Forge } from '../../contracts/ports/forge.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { RunControl } from '../../contracts/ports/run-control.ts';
import type { Budgets } from './rate-limit/budgets.ts';

/**
 * Clients of the configured forge, for runners and for delegations. Reads the forge's credentials from the environment; each App
 * (or the token) has a rate-limit budget of its own.
 *
 * @throws BatonError SECRET_MISSING, SECRET_INVALID
 */
export function createForge(config: ForgeConfig, budgets: Budgets, log: Logger): { forge: Forge; runs: RunControl } {
  const points = getPointsPerMinute(config);
  const apps = readCredentials(config).map(({ key, organization, auth }) => {
    const budget = budgets.create(key, points);
    const client = createGithubClient({ url: config.url, auth, budget, log });
    return {
      organization,
      forge: new Github(client, budget),
      runs: new GithubRuns(client),
      room: () => budget.getRemainingShare(),
    };
  });
  const [first] = apps;
  if (first === undefined)
    throw new BatonError('CONFIG_INVALID', 'reading forge: no credential; set app, apps or token');
  return apps.length === 1 ? first : { forge: new GithubApps(apps), runs: new GithubAppsRuns(apps) };
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
