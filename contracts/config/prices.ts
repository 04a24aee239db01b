import { z } from 'zod';
import { duration } from './duration.ts';

const hourly = z.number().nonnegative();

/** What a backend's instances cost. */
export const priceTable = z.strictObject({
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, 'expected a currency’s code such as USD')
    .default('USD')
    .describe('Currency of all prices.'),
  minimum: duration.optional().describe('Shortest time that an instance is charged for; clouds have `1m`.'),
  hourly: z
    .record(
      z.string().min(1),
      z.union([
        hourly,
        z.strictObject({
          on_demand: hourly.describe('An hour on demand.'),
          spot: hourly.describe('An hour on spot.'),
        }),
      ]),
    )
    .refine((prices) => Object.keys(prices).length > 0, 'give at least one')
    .describe('Price per hour by kind of machine: a number or `{ on_demand, spot }`. `*` is all others.'),
});

export type PriceTable = z.infer<typeof priceTable>;
