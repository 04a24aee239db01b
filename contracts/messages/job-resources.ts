import { z } from 'zod';

const amount = z.number().nonnegative();

/** What one job used, from the samples of the wrapper `resource-usage`. Bytes, seconds and cores. */
export const jobResources = z.object({
  seconds: amount,
  /** How many cores it may use, and how many it used. */
  cpu: z.object({ cores: amount, average: amount, peak: amount }),
  memory: z.object({ total: amount, average: amount, peak: amount }),
  disk: z.object({ read: amount, written: amount }),
  network: z.object({ received: amount, sent: amount }),
});

export type JobResources = z.infer<typeof jobResources>;
