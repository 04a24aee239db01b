import { createGithubClient, type GithubAuth } from '../../activities/forges/github/client.ts';
import { Github } from '../../activities/forges/github/github.ts';
import type { ForgeConfig } from '../../contracts/config/config.ts';
import { readSecret } from '../../contracts/config/secret.ts';
import { BatonError } from '../../contracts/errors.ts';
import type { Forge } from '../../contracts/forge.ts';
import type { Logger } from '../../contracts/log.ts';

/**
 * The forge of the configuration, with its credential read from the environment of this process.
 *
 * @throws BatonError SECRET_MISSING
 */
export function createForge(config: ForgeConfig, log: Logger): Forge {
  return new Github(createGithubClient({ url: config.url, auth: readAuth(config), log }));
}

function readAuth(config: ForgeConfig): GithubAuth {
  if (config.app) {
    const { id, installation, private_key: key } = config.app;
    return { app: { id, installation, privateKey: readSecret(key) } };
  }
  if (config.token) return { token: readSecret(config.token) };
  throw new BatonError('CONFIG_INVALID', 'forge: give either app or token');
}
