import { z } from 'zod';

const text = z.string().max(500);

/** Published on `usage.<group>` when an instance has ended, message id = its runner's name. Stream BATON_USAGE. */
export const usageMessage = z.object({
  version: z.literal(1),
  runner: text,
  group: text,
  backend: text,
  machine: text.optional(),
  market: z.enum(['spot', 'on-demand']).optional(),
  from: z.iso.datetime(),
  until: z.iso.datetime(),
  repository: text.optional(),
  workflow: text.optional(),
  job: text.optional(),
  jobId: z.number().int().optional(),
  /** By the prices at that time; absent where there were none. */
  cost: z.object({ currency: z.string(), amount: z.number() }).optional(),
});

export type UsageMessage = z.infer<typeof usageMessage>;

export const COST_KEYS = ['group', 'repository', 'job', 'backend', 'machine'] as const;
export type CostKey = (typeof COST_KEYS)[number];

/** Requested on `cost`. */
export const costRequest = z.object({
  version: z.literal(1),
  /** Instances that ended since then. */
  since: z.iso.datetime(),
  by: z.enum(COST_KEYS),
});

export type CostRequest = z.infer<typeof costRequest>;

/** One line of the answer. Spot and on-demand instances have separate lines. */
const costLine = z.object({
  key: z.string(),
  market: z.enum(['spot', 'on-demand']).nullable(),
  instances: z.number(),
  hours: z.number(),
  /** Null where there was no price. */
  currency: z.string().nullable(),
  amount: z.number().nullable(),
});

export type CostLine = z.infer<typeof costLine>;

export const costReply = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    /** Most hours first. */
    lines: z.array(costLine),
    /** How many lines there were; the answer holds the first thousand. */
    total: z.number(),
  }),
  z.object({ ok: z.literal(false), code: z.string(), message: z.string() }),
]);

export type CostReply = z.infer<typeof costReply>;
