import { z } from 'zod';

/** Makes all services read their configuration files again. */
export const applyRequest = z
  .object({
    /** Of the file that is applied: where a service has just that file, it becomes the newest, although it may be older. */
    hash: z.string().optional(),
  })
  .prefault({});

export type ApplyRequest = z.infer<typeof applyRequest>;

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
    .object({
      changed: z.boolean(),
      hash: z.string(),
      groups: z.number(),
      needsRestart: z.array(z.string()),
      older: z.boolean(),
    })
    .nullable(),
  problem: z.string().nullable(),
});

export type ApplyReply = z.infer<typeof applyReply>;
