import { z } from 'zod';
import { priceTable } from './prices.ts';

/** What every backend's settings have; spread it into each. */
export const backendCommon = {
  max: z
    .number()
    .int()
    .positive()
    .optional()
    .describe('Instances of all groups at most. Default: what the groups’ own `max` add up to.'),
  prices: priceTable.optional().describe('What instances cost: in metrics and in `baton cost`.'),
  nats_url: z.string().optional().describe('How instances reach NATS, where that differs from how services do.'),
};
