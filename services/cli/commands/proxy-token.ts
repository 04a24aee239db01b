import { z } from 'zod';
import { duration } from '../../../contracts/config/duration.ts';
import {
  createCredential,
  createTokenKey,
  MAX_TOKEN_LIFETIME_S,
  signToken,
} from '../../../contracts/lib/proxy-token.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { parseOptions, UsageError } from '../lib/options.ts';
import { NAME_PATTERN } from '../../../contracts/workflows/runner-name.ts';
import { print } from '../lib/print.ts';

const KEY_VARIABLE = 'BATON_PROXY_SIGNING_KEY';

const tokenOptions = z.object({ lifetime: duration.prefault('12h'), read: z.boolean().default(false) });
const credentialOptions = z.object({ lifetime: duration.prefault('365d') });

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
  const { lifetime, read } = parseOptions(tokenOptions, given);
  const lifetimeS = Math.floor(lifetime / 1000);
  if (lifetimeS > MAX_TOKEN_LIFETIME_S) {
    throw new UsageError('a token is valid for at most 24h: give the proxy a credential (baton proxy credential)');
  }
  print(
    signToken(readSigningKey(proxy), {
      ...toClaims(proxy, lifetimeS),
      scopes: read ? ['delegate', 'read'] : ['delegate'],
    }),
  );
  return 0;
}

/**
 * `baton proxy credential NAME`: prints a credential with which that one proxy signs its own tokens, and nothing else.
 *
 * @throws UsageError; BatonError SECRET_MISSING when the signing key is not in the environment
 */
export function printCredential(proxy: string, given: unknown): number {
  const { lifetime } = parseOptions(credentialOptions, given);
  print(createCredential(readSigningKey(proxy), toClaims(proxy, Math.floor(lifetime / 1000))));
  return 0;
}

function toClaims(proxy: string, lifetimeS: number): { proxy: string; issued: number; expires: number } {
  const issued = Math.floor(Date.now() / 1000);
  return { proxy, issued, expires: issued + lifetimeS };
}

function readSigningKey(proxy: string): string {
  if (!NAME_PATTERN.test(proxy))
    throw new UsageError(`"${proxy}" is not a proxy name: expected lower-case letters, digits and dashes`);
  const key = process.env[KEY_VARIABLE];
  if (!key) throw new BatonError('SECRET_MISSING', `making a token: environment variable ${KEY_VARIABLE} is not set`);
  return key;
}
