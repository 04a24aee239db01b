import { z } from 'zod';
import { formatDuration } from '../../../contracts/format.ts';
import type { Config } from '../../../contracts/config/config.ts';
import { examineConnections } from '../../../contracts/lib/examine-connections.ts';
import { examineSecrets } from '../../../contracts/lib/examine-secrets.ts';
import { loadConfig } from '../../../contracts/lib/load-config.ts';
import { toGroupSettings } from '../../../contracts/config/group-settings.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { printError } from '../lib/print-error.ts';
import { checkCloudGroup } from './cloud-check.ts';
import { examinePublicAccess } from '../lib/public-repositories.ts';
import { findSecretNames } from '../lib/secret-names.ts';
import { parseOptions } from '../lib/options.ts';
import { print } from '../lib/print.ts';

const checkOptions = z.object({ offline: z.boolean().default(false) });

/**
 * `baton config check`: prints what a configuration means, or each problem with it and with the secrets that are set here.
 *
 * @param given `offline`: asks the forge nothing
 * @returns the exit code
 */
export async function checkConfig(file: string, given: unknown): Promise<number> {
  const { offline } = parseOptions(checkOptions, given);
  try {
    const config = loadConfig(file);
    print(`${file} is valid: installation ${config.name}, ${config.forge.url} (${getCredentialName(config)})`);
    for (const group of config.groups) {
      const { labels, min, max, backend, timeToStartMs, timeToLiveMs } = toGroupSettings(config, group);
      const times = `time to start ${formatDuration(timeToStartMs)}, to live ${formatDuration(timeToLiveMs)}`;
      const cloud = checkCloudGroup(config, group);
      const more = cloud === undefined ? times : `${times}, ${cloud}`;
      print(`  ${group.name}: [${labels.join(', ')}] on ${backend}, ${min} to ${max} runners, ${more}`);
    }
    const secrets = [...findSecretNames(config)].filter((name) => !process.env[name]);
    const access = offline ? { warnings: [], unknown: [] } : await examinePublicAccess(config);
    const warnings = [...examineSecrets(config), ...examineConnections(config), ...access.warnings];
    for (const warning of warnings) print(`  warning: ${warning}`);
    for (const unknown of access.unknown) print(`  ${unknown}`);
    if (secrets.length > 0) print(`  environment variables not set here: ${secrets.join(', ')}`);
    return 0;
  } catch (error) {
    if (!(error instanceof BatonError)) throw error;
    printError(error);
    return 1;
  }
}

function getCredentialName({ forge }: Config): string {
  if (forge.token) return 'token';
  return forge.apps && forge.apps.length > 1 ? `${forge.apps.length} Apps` : 'App';
}
