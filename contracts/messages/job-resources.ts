import { z } from 'zod';

const amount = z.number().nonnegative();

/** What one job used, from its recorder's samples. Bytes, seconds, and cores. */
export const jobResources = z.object({
  seconds: amount,
  /** How many cores there are for it, and how many it used. */
  cpu: z.object({ cores: amount, average: amount, peak: amount }),
  memory: z.object({ total: amount, average: amount, peak: amount }),
  disk: z.object({ read: amount, written: amount }),
  network: z.object({ received: amount, sent: amount }),
});

export type JobResources = z.infer<typeof jobResources>;
