import { z } from 'zod';

/**
 * What a proxy's hook and the proxy say to each other over the proxy's Unix socket: one line of JSON each way; then the
 * hook prints the answer and ends the connection. The proxy trusts nothing in the request: steps of a job run as the same user.
 */

/** Longer values stay at home, and so does all beyond the total, characters: a hook must never be too large to be answered. */
export const MAX_HOOK_VARIABLE = 32 * 1024;
export const MAX_HOOK_ENVIRONMENT = 1024 * 1024;

export const hookRequest = z.strictObject({
  kind: z.literal('started'),
  /** The hook's environment. */
  environment: z.record(z.string().min(1), z.string().max(MAX_HOOK_VARIABLE)),
});

export type HookRequest = z.infer<typeof hookRequest>;

export const hookAnswer = z.object({
  /** What the hook exits with, unless the attempt is ended before. */
  exitCode: z.number().int().min(1).max(255),
  level: z.enum(['notice', 'error']),
  /** The annotation of the job. */
  text: z.string(),
});

export type HookAnswer = z.infer<typeof hookAnswer>;
