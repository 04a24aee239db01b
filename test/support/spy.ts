import { join } from 'node:path';
import { ACCOUNT_NAMES } from '../../deploy/nats/accounts.ts';
import type { Cluster } from './cluster.ts';
import { connectUnrestricted } from './unrestricted-bus.ts';

export interface RecordedMessage {
  subject: string;
  headers: string;
  data: Uint8Array;
}

/** Records every message of each account on the cluster's NATS from now on, also requests and replies. */
export async function recordMessages(cluster: Cluster): Promise<RecordedMessage[]> {
  const messages: RecordedMessage[] = [];
  for (const account of ACCOUNT_NAMES) {
    const bus = await connectUnrestricted(join(cluster.dir, 'nats'), cluster.nats.url, account);
    cluster.onStop(() => bus.close());
    bus.subscribe('>', {
      callback: (_error, { subject, headers, data }) => {
        const pairs = [...(headers?.keys() ?? [])].map((key) => `${key}: ${headers?.values(key).join(', ')}`);
        messages.push({ subject, headers: pairs.join('\n'), data });
      },
    });
    await bus.flush();
  }
  return messages;
}
