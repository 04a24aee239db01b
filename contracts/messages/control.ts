import { z } from 'zod';

export const GROUP_MODES = ['active', 'paused', 'draining'] as const;

/** The mode that an operator sets for a group; requested on `control`. */
export const controlRequest = z.object({ version: z.literal(1), group: z.string(), mode: z.enum(GROUP_MODES) });

export const controlReply = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true) }),
  z.object({ ok: z.literal(false), code: z.string(), message: z.string() }),
]);

export type ControlRequest = z.infer<typeof controlRequest>;
export type ControlReply = z.infer<typeof controlReply>;
