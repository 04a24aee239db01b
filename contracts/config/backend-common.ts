import { z } from 'zod';
import { priceTable } from './prices.ts';

/** The settings that every backend has; spread them into each schema. */
export const backendCommon = {
  max: z
    .number()
    .int()
    .positive()
    .optional()
    .describe('Most instances of all groups together. Default: the sum of the groups’ `max`.'),
  prices: priceTable.optional().describe('What instances cost: in metrics and in `baton cost`.'),
  nats_url: z.string().optional().describe('Address of NATS for instances, if it differs from `nats.url`.'),
};
