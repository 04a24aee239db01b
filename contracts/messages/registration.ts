import { z } from 'zod';

/** Sent by an agent on `register.<runner>`, request/reply. */
export const registrationRequest = z.object({
  version: z.literal(1),
  runner: z.string().min(1).max(63),
  agentVersion: z.string().max(40),
});

export type RegistrationRequest = z.infer<typeof registrationRequest>;

/** The registrar's answer. Holds a secret (`jitConfig`): never logged, never stored, never in a stream. */
export const registrationReply = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), jitConfig: z.string().min(1) }),
  z.object({
    ok: z.literal(false),
    code: z.string(),
    message: z.string(),
    /** Whether to ask again later (with backoff), or to give up. */
    retryable: z.boolean(),
  }),
]);

export type RegistrationReply = z.infer<typeof registrationReply>;
