import { z } from 'zod';
import { parseOptions } from '../lib/options.ts';

/** A whole number of that range. */
function integer(min: number, max: number) {
  const error = `expected a whole number from ${min} to ${max}`;
  return z.coerce.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}

const port = integer(1, 65_535);

const startOptions = z
  .object({
    config: z.string().optional(),
    once: z.boolean().default(false),
    backend: z.enum(['docker', 'local']).optional(),
    copies: integer(1, 20),
    portIngress: port.optional(),
    portStatus: port.optional(),
    portTemporalUi: port.optional(),
  })
  .refine((options) => options.config === undefined || (!options.once && options.backend === undefined), {
    message: '--once and --backend belong to the demo: leave them out with --config',
  });

export type StartOptions = z.infer<typeof startOptions>;

/**
 * The options of `baton start`, from commander's.
 *
 * @throws UsageError naming each wrong option
 */
export function parseStartOptions(given: unknown): StartOptions {
  return parseOptions(startOptions, given);
}
