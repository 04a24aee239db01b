import { z } from 'zod';

/** The answer on `health.<group>`: the result of a check that ran on request. */
export const healthReply = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    report: z.object({
      at: z.string(),
      group: z.string(),
      runners: z.number(),
      marked: z.array(z.string()),
      repaired: z.array(z.string()),
      unanswered: z.array(z.string()),
      /** What a person should know or change. */
      notes: z.array(z.string()).default([]),
      demand: z.object({ asked: z.number(), dropped: z.number() }),
      redelivered: z.number(),
      found: z.number(),
      /** All marks, including those of earlier checks. */
      marks: z.number(),
    }),
    /** The id of the check's workflow. */
    workflow: z.string(),
  }),
  z.object({ ok: z.literal(false), code: z.string(), message: z.string() }),
]);

export type HealthReply = z.infer<typeof healthReply>;
