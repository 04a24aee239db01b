import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { BatonError } from '../errors.ts';
import { NAME_PATTERN } from '../workflows/runner-name.ts';

/**
 * Proxies' bearer tokens: `baton.<claims>.<signature>`, both parts base64url, the signature Ed25519 over the claims. Whoever
 * verifies holds public keys only, so no service can make a token, and none is stored anywhere.
 */
const PREFIX = 'baton';

const claims = z.object({
  /** The one proxy that it is for. */
  proxy: z.string().max(60).regex(NAME_PATTERN),
  /** Seconds since the epoch. */
  issued: z.number().int(),
  expires: z.number().int(),
});

export type TokenClaims = z.infer<typeof claims>;

/** A new key: the private half signs, the public half stands in the configuration. Both base64url, 32 bytes. */
export function createTokenKey(): { privateKey: string; publicKey: string } {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  return { privateKey: `${d}.${x}`, publicKey: x };
}

/**
 * A token for that proxy alone.
 *
 * @param privateKey as {@link createTokenKey} made it
 * @throws BatonError SECRET_MISSING when it is no such key
 */
export function signToken(privateKey: string, token: TokenClaims): string {
  const [d, x] = privateKey.split('.');
  const body = Buffer.from(JSON.stringify(claims.parse(token))).toString('base64url');
  try {
    const key = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', d, x }, format: 'jwk' });
    return `${PREFIX}.${body}.${sign(null, Buffer.from(body), key).toString('base64url')}`;
  } catch {
    // The cause would name the key.
    throw new BatonError('SECRET_MISSING', 'signing a proxy’s token: the private key is not one of `baton proxy key`');
  }
}

/**
 * What a token says, where one of the keys signed it and it has not expired.
 *
 * @returns undefined for all else; which part was wrong is nobody's business
 */
export function verifyToken(token: string, publicKeys: readonly string[], now: Date): TokenClaims | undefined {
  const [prefix, body = '', signature = '', ...more] = token.split('.');
  if (prefix !== PREFIX || more.length > 0 || token.length > 1000) return undefined;
  const signed = publicKeys.some((x) => {
    try {
      const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
      return verify(null, Buffer.from(body), key, Buffer.from(signature, 'base64url'));
    } catch {
      return false;
    }
  });
  if (!signed) return undefined;
  const parsed = claims.safeParse(JSON.parse(Buffer.from(body, 'base64url').toString('utf8')));
  if (!parsed.success || parsed.data.expires * 1000 <= now.getTime()) return undefined;
  return parsed.data;
}
