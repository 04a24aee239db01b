import { z } from 'zod';
import { runnerSignal } from '../contracts/messages/runner-signal.ts';

const started = runnerSignal.options[1];

/** What a hook writes to the agent's socket: one line of JSON. Anything may connect there, so it is checked like a stranger. */
export const hookLine = z.object({
  version: z.literal(1),
  kind: z.enum(['started', 'completed']),
  job: started.shape.job,
  /** How long the hook waits for JetStream's acknowledgement, milliseconds. */
  waitMs: z.number().nonnegative().max(60_000),
});

export type HookLine = z.infer<typeof hookLine>;

/** The agent's answer, one line of JSON. `queued`: the time is over, the agent keeps trying. */
export type HookReply = { state: 'delivered' | 'queued' } | { state: 'refused'; message: string };
