import { z } from 'zod';

/** The answer on `health.<group>`: what the check came to that was made just now. */
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
      demand: z.object({ asked: z.number(), dropped: z.number() }),
      redelivered: z.number(),
      found: z.number(),
      /** Marked earlier and still so, those marked now included. */
      marks: z.number(),
    }),
    /** The workflow that made it. */
    workflow: z.string(),
  }),
  z.object({ ok: z.literal(false), code: z.string(), message: z.string() }),
]);

export type HealthReply = z.infer<typeof healthReply>;
