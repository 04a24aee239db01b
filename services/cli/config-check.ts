import { formatDuration } from '../../contracts/format.ts';
import type { Config } from '../../contracts/config/config.ts';
import { loadConfig } from '../../contracts/config/load.ts';
import { groupSettings } from '../../contracts/config/settings.ts';
import { BatonError } from '../../contracts/errors.ts';
import { checkCloudGroup } from './cloud-check.ts';

/**
 * `baton config check`: says what a configuration means, or what is wrong with it, a line each.
 *
 * @returns the exit code
 */
export function checkConfig(file: string): number {
  try {
    const config = loadConfig(file);
    console.log(`${file} is good: manager ${config.name}, ${config.forge.url} (${credential(config)})`);
    for (const group of config.groups) {
      const { labels, min, max, backend, timeToStartMs, timeToLiveMs } = groupSettings(config, group);
      const times = `time to start ${formatDuration(timeToStartMs)}, to live ${formatDuration(timeToLiveMs)}`;
      const cloud = checkCloudGroup(config, group);
      const more = cloud === undefined ? times : `${times}, ${cloud}`;
      console.log(`  ${group.name}: [${labels.join(', ')}] on ${backend}, ${min} to ${max} runners, ${more}`);
    }
    const secrets = [...secretNames(config)].filter((name) => !process.env[name]);
    if (secrets.length > 0) console.log(`  not set here: ${secrets.join(', ')}`);
    return 0;
  } catch (error) {
    if (!(error instanceof BatonError)) throw error;
    console.error(error.message);
    console.error(error.help);
    return 1;
  }
}

function credential({ forge }: Config): string {
  if (forge.token) return 'token';
  return forge.apps && forge.apps.length > 1 ? `${forge.apps.length} Apps` : 'App';
}

/** The environment variables that a configuration (or a part of one) takes secrets from. */
export function secretNames(part: unknown): Set<string> {
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const entries = Object.entries(value);
    if (entries.length === 1 && entries[0]?.[0] === 'env' && typeof entries[0][1] === 'string')
      names.add(entries[0][1]);
    else for (const [, child] of entries) visit(child);
  };
  visit(part);
  return names;
}
