import { z } from 'zod';

/** Sent by an agent on `register.<runner>`, request/reply. An agent sends its next request only after it gave up the last one. */
export const registrationRequest = z.object({
  version: z.literal(1),
  runner: z.string().min(1).max(63),
  agentVersion: z.string().max(40),
  /** How many requests this agent has sent before: a request that a later one overtook gets no registration. Absent: an older agent. */
  attempt: z.number().int().nonnegative().optional(),
  /** How long the agent waits for the reply, milliseconds from sending. Absent: 30 s. A duration, as its clock may be wrong. */
  waitMs: z.number().int().positive().optional(),
});

export type RegistrationRequest = z.infer<typeof registrationRequest>;

/** The registrar's answer. Holds a secret (`jitConfig`): never logged, never stored, never in a stream. */
export const registrationReply = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), jitConfig: z.string().min(1) }),
  z.object({
    ok: z.literal(false),
    code: z.string(),
    message: z.string(),
    /** Whether to ask again later, or to give up. */
    retryable: z.boolean(),
    /** When to ask again, milliseconds from now; the agent adds a random part. Absent: the agent decides. */
    retryAfterMs: z.number().nonnegative().optional(),
  }),
]);

export type RegistrationReply = z.infer<typeof registrationReply>;

/** How long agents wait for a reply that don't say how long. */
export const DEFAULT_REPLY_WAIT_MS = 30_000;
