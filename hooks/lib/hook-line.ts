import { z } from 'zod';
import { jobResources } from '../../contracts/messages/job-resources.ts';
import { runnerSignal } from '../../contracts/messages/runner-signal.ts';

const started = runnerSignal.options[1];

const common = {
  version: z.literal(1),
  /** How long the hook waits for JetStream's acknowledgement. */
  waitMs: z.number().nonnegative().max(60_000),
};

/** That a job started or completed. */
const jobLine = z.object({ ...common, kind: z.enum(['started', 'completed']), job: started.shape.job });

/**
 * What a hook writes to the agent's socket: one line of JSON. Any process of the job may connect, so it is validated.
 */
export const hookLine = z.discriminatedUnion('kind', [
  jobLine,
  z.object({ ...common, kind: z.literal('resources'), resources: jobResources }),
]);

export type HookLine = z.infer<typeof jobLine>;

/** The agent's answer, one line of JSON. `queued`: not delivered within `waitMs`, the agent continues to try. */
export type HookReply = { state: 'delivered' | 'queued' } | { state: 'refused'; message: string };
