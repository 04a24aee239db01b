import { z } from 'zod';

/** A service's answer on `apply`: that it has read its configuration file again, or why it could not. */
export const applyReply = z.object({
  version: z.literal(1),
  service: z.string(),
  /** `host:pid` */
  process: z.string(),
  /** The path of its configuration file, as it was given to it. */
  file: z.string(),
  /** Null when the file was invalid: the service keeps its earlier configuration. */
  result: z
    .object({ changed: z.boolean(), hash: z.string(), groups: z.number(), needsRestart: z.array(z.string()) })
    .nullable(),
  problem: z.string().nullable(),
});

export type ApplyReply = z.infer<typeof applyReply>;
