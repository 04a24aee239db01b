import { createGithubClient, type GithubAuth } from '../../activities/forges/github/client.ts';
import { Github } from '../../activities/forges/github/github.ts';
import { GithubRuns } from '../../activities/forges/github/runs.ts';
import type { ForgeConfig } from '../../contracts/config/forge-config.ts';
import { readSecret } from '../../contracts/config/secret.ts';
import { BatonError } from '../../contracts/errors.ts';
import type { Forge } from '../../contracts/forge.ts';
import type { Logger } from '../../contracts/log.ts';
import type { RunControl } from '../../contracts/run-control.ts';

/**
 * What delegations ask of the forge of the configuration.
 *
 * @throws BatonError SECRET_MISSING
 */
export function createRunControl(config: ForgeConfig, log: Logger): RunControl {
  return new GithubRuns(createGithubClient({ url: config.url, auth: readAuth(config), log }));
}

/**
 * The forge of the configuration, with its credential read from the environment of this process.
 *
 * @throws BatonError SECRET_MISSING
 */
export function createForge(config: ForgeConfig, log: Logger): Forge {
  return new Github(createGithubClient({ url: config.url, auth: readAuth(config), log }));
}

function readAuth(config: ForgeConfig): GithubAuth {
  const app = config.app ?? config.apps?.[0];
  if (app) return { app: { id: app.id, installation: app.installation, privateKey: readSecret(app.private_key) } };
  if (config.token) return { token: readSecret(config.token) };
  throw new BatonError('CONFIG_INVALID', 'forge: give one of app, apps and token');
}
