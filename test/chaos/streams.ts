import { z } from 'zod';
import type { Cluster } from '../support/cluster.ts';
import type { StreamState } from './checker.ts';

const consumer = z.object({ num_pending: z.number(), num_ack_pending: z.number() });
const stream = z.object({
  name: z.string(),
  state: z.object({ messages: z.number() }),
  consumer_detail: z.array(consumer).default([]),
});
const report = z.object({ account_details: z.array(z.object({ stream_detail: z.array(stream).default([]) })) });

/** All streams, from NATS's monitoring port. */
export async function readStreams({ nats }: Pick<Cluster, 'nats'>): Promise<StreamState[]> {
  const answer = await fetch(`${nats.monitorUrl}/jsz?accounts=true&streams=true&consumers=true`);
  const { account_details: accounts } = report.parse(await answer.json());
  return accounts.flatMap(({ stream_detail: streams }) =>
    streams.map(({ name, state, consumer_detail: consumers }) => ({
      name,
      messages: state.messages,
      pending: consumers.reduce((sum, { num_pending, num_ack_pending }) => sum + num_pending + num_ack_pending, 0),
    })),
  );
}
