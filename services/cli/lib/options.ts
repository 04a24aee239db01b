import type { Command } from 'commander';
import { z } from 'zod';
import { toWrongFields } from '../../../contracts/lib/schema-errors.ts';

/** A command was called with an option or argument that it can't use. */
export class UsageError extends Error {}

/** The options of every command that makes a request over NATS, see {@link addNatsCommand}. */
export const natsOptions = z.object({ config: z.string().optional(), credentials: z.string().optional() });

/** Those of a command that can print JSON. */
export const printOptions = natsOptions.extend({ json: z.boolean().default(false) });

/** Adds a command that makes a request over NATS. */
export function addNatsCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option(
      '--config <file>',
      'configuration with the address of NATS (default: that of `baton start` in this folder, else BATON_CONFIG, else baton.yaml)',
    )
    .option(
      '--credentials <file>',
      'NATS credentials (default: BATON_NATS_CREDENTIALS, else those of `baton start` or the configuration)',
    );
}

/**
 * Commander's options, checked.
 *
 * @throws UsageError naming each wrong option
 */
export function parseOptions<T extends z.ZodType>(schema: T, given: unknown): z.output<T> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const problems = toWrongFields(parsed.error, '').map(({ path, message }) => {
    const option = path.replaceAll(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
    return option === '' ? message : `--${option}: ${message}`;
  });
  throw new UsageError(problems.join('\n'));
}
