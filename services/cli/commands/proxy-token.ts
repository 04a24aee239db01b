import { z } from 'zod';
import { duration } from '../../../contracts/config/duration.ts';
import { createTokenKey, signToken } from '../../../contracts/lib/proxy-token.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { parseOptions, UsageError } from '../lib/options.ts';
import { NAME_PATTERN } from '../../../contracts/workflows/runner-name.ts';
import { print } from '../lib/print.ts';

const KEY_VARIABLE = 'BATON_PROXY_SIGNING_KEY';

const options = z.object({ lifetime: duration.prefault('90d') });

/** `baton proxy key`: prints a new pair of keys; the private one is stored nowhere. */
export function printTokenKey(): number {
  const { privateKey, publicKey } = createTokenKey();
  print(`delegation.token_keys: ${publicKey}`);
  print(`${KEY_VARIABLE}=${privateKey}`);
  return 0;
}

/**
 * `baton proxy token NAME`: prints a bearer token for that one proxy, and nothing else.
 *
 * @throws UsageError; BatonError SECRET_MISSING when the signing key is not in the environment
 */
export function printToken(proxy: string, given: unknown): number {
  const { lifetime } = parseOptions(options, given);
  if (!NAME_PATTERN.test(proxy))
    throw new UsageError(`"${proxy}" is not a proxy name: expected lower-case letters, digits and dashes`);
  const key = process.env[KEY_VARIABLE];
  if (!key) throw new BatonError('SECRET_MISSING', `making a token: environment variable ${KEY_VARIABLE} is not set`);
  const issued = Math.floor(Date.now() / 1000);
  print(signToken(key, { proxy, issued, expires: issued + Math.floor(lifetime / 1000) }));
  return 0;
}
