import { z } from 'zod';
import { BatonError } from '../../../contracts/errors.ts';
import { toWrongFields } from '../../../contracts/lib/schema-errors.ts';

const port = z.coerce.number().int().min(1).max(65_535);

const startOptions = z
  .object({
    config: z.string().optional(),
    once: z.boolean().default(false),
    backend: z.enum(['docker', 'local']).optional(),
    copies: z.coerce.number().int().min(1).max(20),
    portIngress: port.optional(),
    portTemporalUi: port.optional(),
  })
  .refine((options) => options.config === undefined || (!options.once && options.backend === undefined), {
    message: '--once and --backend belong to the demo: leave them out with --config',
  });

export type StartOptions = z.infer<typeof startOptions>;

/**
 * What `baton start` was asked for, from commander's options.
 *
 * @throws BatonError CONFIG_INVALID naming the option
 */
export function parseStartOptions(given: unknown): StartOptions {
  const parsed = startOptions.safeParse(given);
  if (parsed.success) return parsed.data;
  const problems = toWrongFields(parsed.error, '').map(({ path, message }) => {
    const option = path.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return option === '' ? message : `--${option}: ${message}`;
  });
  throw new BatonError('CONFIG_INVALID', problems.join('\n'));
}
