import { z } from 'zod';
import { jobResources } from '../../contracts/messages/job-resources.ts';
import { runnerSignal } from '../../contracts/messages/runner-signal.ts';

const started = runnerSignal.options[1];

const common = {
  version: z.literal(1),
  /** How long the hook waits for JetStream's acknowledgement, milliseconds. */
  waitMs: z.number().nonnegative().max(60_000),
};

/** That a job started or completed. */
const jobLine = z.object({ ...common, kind: z.enum(['started', 'completed']), job: started.shape.job });

/** What a hook writes to the agent's socket: one line of JSON. Anything may connect there, so it is checked like a stranger. */
export const hookLine = z.discriminatedUnion('kind', [
  jobLine,
  z.object({ ...common, kind: z.literal('resources'), resources: jobResources }),
]);

export type HookLine = z.infer<typeof jobLine>;

/** The agent's answer, one line of JSON. `queued`: the time is over, the agent keeps trying. */
export type HookReply = { state: 'delivered' | 'queued' } | { state: 'refused'; message: string };
