import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createUser, encodeUser, fmtCreds, fromSeed } from '@nats-io/jwt';
import { connectBus } from '../../contracts/lib/nats.ts';
import type { Cluster } from './cluster.ts';

export interface Overheard {
  subject: string;
  headers: string;
  data: Uint8Array;
}

/** Hears every message on the cluster's bus from now on, requests and answers included: with a credential without limits. */
export async function spyOn(cluster: Cluster): Promise<Overheard[]> {
  const account = fromSeed(readFileSync(join(cluster.dir, 'nats', 'account.nk')));
  const user = createUser();
  const jwt = await encodeUser('spy', user, account, {});
  const credentials = new TextDecoder().decode(fmtCreds(jwt, user));
  const bus = await connectBus({ url: cluster.nats.url, name: 'spy', credentials });
  cluster.onStop(() => bus.close());
  const overheard: Overheard[] = [];
  bus.subscribe('>', {
    callback: (_error, { subject, headers, data }) => {
      const pairs = [...(headers?.keys() ?? [])].map((key) => `${key}: ${headers?.values(key).join(', ')}`);
      overheard.push({ subject, headers: pairs.join('\n'), data });
    },
  });
  await bus.flush();
  return overheard;
}
