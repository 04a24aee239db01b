import { z } from 'zod';
import { config } from './config.ts';

/**
 * The configuration file as JSON Schema (draft 2020-12), for editors: what they complete, explain and underline. Rules
 * between keys (min ≤ max, names that must exist) are `baton config check`'s alone.
 */
export function createConfigSchema(): Record<string, unknown> {
  return {
    title: 'Baton configuration',
    ...z.toJSONSchema(config, { io: 'input' }),
  };
}
