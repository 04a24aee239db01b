import { z } from 'zod';
import { duration } from './duration.ts';

const hourly = z.number().nonnegative();

/** What a backend's instances cost. */
export const priceTable = z.strictObject({
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, 'expected a currency’s code such as USD')
    .default('USD')
    .describe('Of all prices of this table.'),
  minimum: duration.optional().describe('What an instance costs at least, however short it lives; clouds have 1m.'),
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
    .describe('An hour of each kind of machine: one price, or { on_demand, spot }. `*`: of all that are not named.'),
});

export type PriceTable = z.infer<typeof priceTable>;
