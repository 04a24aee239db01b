import { z } from 'zod';

/** The most entries of one ingress a minute; what goes beyond is one more entry, of `others`. */
export const MAX_REFUSALS_PER_MINUTE = 30;

/** Requests of one caller that the ingress refused with one error code within a minute. Holds no secret. */
export const refusedRequest = z.object({
  version: z.literal(1),
  /** Also the message id. */
  id: z.string().max(200),
  /** When the minute's first one was refused, ISO 8601. */
  at: z.string(),
  /** The caller's address, an IPv6 network as `2001:db8:1:2::/64`, or `others`. */
  who: z.string().max(100),
  /** The error code; `VARIOUS` for `others`. */
  code: z.string().max(60),
  count: z.number().int().positive(),
  /** The message of the first one. */
  detail: z.string().max(500),
});

export type RefusedRequest = z.infer<typeof refusedRequest>;
