import { z } from 'zod';
import { DELEGATION_ID } from '../../../contracts/lib/delegation-id.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { delegatedJob, DELEGATION_STATUSES } from '../../../contracts/messages/delegation.ts';
import { describeWrongFields, toWrongFields } from '../../../contracts/lib/schema-errors.ts';

/** The schemas of the API's requests and responses. The OpenAPI document is built from them. */

export const accepted = z.object({ id: z.string(), status: z.enum(DELEGATION_STATUSES) });

export const jobAnswer = delegatedJob.extend({
  environment: z.record(z.string(), z.string()),
  matrix: z.record(z.string(), z.unknown()).nullable(),
  needs: z.array(z.string()).nullable(),
});

export const jobsAnswer = z.object({ jobs: z.array(delegatedJob) });

export const jobsQuery = z.strictObject({
  status: z.enum(DELEGATION_STATUSES).optional(),
  repository: z
    .string()
    .regex(/^[\w.-]+\/[\w.-]+$/, 'expected owner/name')
    .optional(),
});

export const jobPath = z.object({ id: z.string().regex(DELEGATION_ID, 'expected a delegation’s id') });

export const problem = z.object({
  code: z.string(),
  message: z.string(),
  help: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
});

/**
 * Parses a part of a request.
 *
 * @param doing what the request does, for the error's message
 * @throws BatonError DELEGATION_INVALID with `details.fields`: the path of every wrong field and what was expected
 */
export function parseRequest<T extends z.ZodType>(schema: T, value: unknown, doing: string): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = toWrongFields(result.error);
  throw new BatonError('DELEGATION_INVALID', `${doing}: ${describeWrongFields(result.error)}`, { details: { fields } });
}
