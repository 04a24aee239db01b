import { readFileSync } from 'node:fs';
import { createUser, encodeUser, fmtCreds, fromSeed } from '@nats-io/jwt';
import { connectBus, type Bus } from '../../contracts/lib/nats.ts';
import type { AccountName } from '../../deploy/nats/accounts.ts';
import { getAccountKeyFile } from '../../deploy/nats/operator.ts';

/**
 * A connection that may do everything in an account, which no credential of Baton may.
 *
 * @param dir that of the operator's set-up
 */
export async function connectUnrestricted(dir: string, url: string, account: AccountName = 'streams'): Promise<Bus> {
  const key = fromSeed(new Uint8Array(readFileSync(getAccountKeyFile(dir, account))));
  const user = createUser();
  const jwt = await encodeUser('test', user, key, {});
  return await connectBus({ url, name: 'test', credentials: new TextDecoder().decode(fmtCreds(jwt, user)) });
}
