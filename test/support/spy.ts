import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createUser, encodeUser, fmtCreds, fromSeed } from '@nats-io/jwt';
import { connectBus } from '../../contracts/lib/nats.ts';
import type { Cluster } from './cluster.ts';

export interface RecordedMessage {
  subject: string;
  headers: string;
  data: Uint8Array;
}

/** Records every message on the cluster's NATS from now on, also requests and replies, with a credential without limits. */
export async function recordMessages(cluster: Cluster): Promise<RecordedMessage[]> {
  const account = fromSeed(readFileSync(join(cluster.dir, 'nats', 'account.nk')));
  const user = createUser();
  const jwt = await encodeUser('spy', user, account, {});
  const credentials = new TextDecoder().decode(fmtCreds(jwt, user));
  const bus = await connectBus({ url: cluster.nats.url, name: 'spy', credentials });
  cluster.onStop(() => bus.close());
  const messages: RecordedMessage[] = [];
  bus.subscribe('>', {
    callback: (_error, { subject, headers, data }) => {
      const pairs = [...(headers?.keys() ?? [])].map((key) => `${key}: ${headers?.values(key).join(', ')}`);
      messages.push({ subject, headers: pairs.join('\n'), data });
    },
  });
  await bus.flush();
  return messages;
}
