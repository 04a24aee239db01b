import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createUser, encodeUser, fmtCreds, fromSeed } from '@nats-io/jwt';
import { connectBus, type Bus } from '../../contracts/lib/nats.ts';

/**
 * A connection that may do everything in an account, which no credential of Baton may.
 *
 * @param dir that of the operator's set-up
 */
export async function connectUnrestricted(
  dir: string,
  url: string,
  account: 'streams' | 'services' | 'runners' = 'streams',
): Promise<Bus> {
  const key = fromSeed(new Uint8Array(readFileSync(join(dir, `${account}.nk`))));
  const user = createUser();
  const jwt = await encodeUser('test', user, key, {});
  return await connectBus({ url, name: 'test', credentials: new TextDecoder().decode(fmtCreds(jwt, user)) });
}
