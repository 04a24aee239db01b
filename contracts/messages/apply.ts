import { z } from 'zod';

/** A service's answer on `apply`: it has read its configuration file again, or why not. */
export const applyReply = z.object({
  version: z.literal(1),
  service: z.string(),
  /** `host:pid` */
  process: z.string(),
  /** The file that it reads, as it was named to it. */
  file: z.string(),
  /** Null when the file was refused: the service goes on with what it had. */
  result: z
    .object({ changed: z.boolean(), hash: z.string(), groups: z.number(), needsRestart: z.array(z.string()) })
    .nullable(),
  problem: z.string().nullable(),
});

export type ApplyReply = z.infer<typeof applyReply>;
