import { z } from 'zod';

/**
 * What all orchestrators know of one runner's registration. It holds no secret: the JIT config stays in the memory of the
 * orchestrator that got it.
 */
export const registrationRecord = z.object({
  /** The orchestrator that asked the forge last. */
  owner: z.string(),
  /** Until then no other orchestrator asks the forge for this runner; 0: nobody is asking. Milliseconds since the epoch. */
  askingUntil: z.number(),
  /** The runner's workflow has permitted the registration. */
  granted: z.boolean(),
  /** How many registrations were given out. */
  answers: z.number(),
  /** When the forge last registered it; 0: never. */
  answeredAt: z.number(),
  /** The newest request that was seen; -1 for agents that don't count. */
  attempt: z.number(),
});

export type RegistrationRecord = z.infer<typeof registrationRecord>;

/** An orchestrator that no longer extends its claim has died; its agent asks again after 30 s. */
export const CLAIM_MS = 15_000;
/** Job code that asks for its runner's registration again and again gets no more than this. */
export const MAX_ANSWERS = 5;
/** How long the orchestrator that holds a registration's JIT config keeps it for the next request. */
export const KEEP_MS = 60_000;
/** Before a registration is replaced whose JIT config did not reach the agent, the next requests may find who keeps it. */
const SEEK_MS = 10_000;

/** One request, as far as the claim is concerned. */
export interface ClaimRequest {
  /** This orchestrator. */
  owner: string;
  /** -1 for an agent that doesn't count its requests. */
  attempt: number;
  /** `answeredAt` of the registration that this orchestrator keeps; 0: none. */
  keeps: number;
}

export type ClaimDecision =
  /** This orchestrator may ask the forge, or give out what it keeps. */
  | { claim: 'granted'; record: RegistrationRecord }
  | { claim: 'later'; retryAfterMs: number; reason: string }
  | { claim: 'refused'; reason: string };

/**
 * Decides whether an orchestrator may ask the forge for a runner. The rules make sure that no two ask for it at the same time,
 * and that a registration which the agent may have received is never replaced.
 */
export function decideClaim(
  known: RegistrationRecord | undefined,
  { owner, attempt, keeps }: ClaimRequest,
  now: number,
): ClaimDecision {
  const askingUntil = now + CLAIM_MS;
  if (known === undefined) {
    return { claim: 'granted', record: { owner, askingUntil, granted: false, answers: 0, answeredAt: 0, attempt } };
  }
  // The agent has given up that request and sent another one: its reply would reach nobody.
  if (attempt >= 0 && attempt < known.attempt) {
    return { claim: 'later', retryAfterMs: KEEP_MS, reason: 'a later request of this runner was received first' };
  }
  if (known.owner !== owner && known.askingUntil > now) {
    return { claim: 'later', retryAfterMs: 1000, reason: 'another orchestrator is asking the forge for it' };
  }
  if (known.answers >= MAX_ANSWERS) {
    return { claim: 'refused', reason: `it has been given ${MAX_ANSWERS} registrations already` };
  }
  const age = now - known.answeredAt;
  // An agent that counts has not received the last answer, or it would not ask again. One that doesn't may be starting with it.
  const wait = attempt >= 0 ? SEEK_MS : KEEP_MS;
  if (known.answeredAt > 0 && keeps !== known.answeredAt && age < wait) {
    return { claim: 'later', retryAfterMs: 1000, reason: 'its registration was just made' };
  }
  return { claim: 'granted', record: { ...known, owner, askingUntil, attempt: Math.max(attempt, known.attempt) } };
}
