import { z } from 'zod';
import { config } from './config.ts';

/**
 * The JSON Schema (draft 2020-12) of the configuration file: editors use it to complete, explain and check keys. Only
 * `baton config check` checks rules between keys (min ≤ max, names that must exist).
 */
export function createConfigSchema(): Record<string, unknown> {
  return {
    title: 'Baton configuration',
    ...z.toJSONSchema(config, { io: 'input' }),
  };
}
