import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { BatonError } from '../errors.ts';
import { NAME_PATTERN } from '../workflows/runner-name.ts';

/**
 * Proxies' bearer tokens: `baton.<claims>.<signature>`, both parts base64url, with an Ed25519 signature of the claims. Services
 * have only public keys, so that they can verify a token but not create one. No token is stored.
 */
const PREFIX = 'baton';

const claims = z.object({
  /** The only proxy that may use it. */
  proxy: z.string().max(60).regex(NAME_PATTERN),
  /** Seconds since the epoch. */
  issued: z.number().int(),
  expires: z.number().int(),
});

export type TokenClaims = z.infer<typeof claims>;

/** A new key pair: the private key signs, the public key is in the configuration. Both base64url, 32 bytes. */
export function createTokenKey(): { privateKey: string; publicKey: string } {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  return { privateKey: `${d}.${x}`, publicKey: x };
}

/**
 * Creates a token for that proxy.
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
    // No cause: it would contain the key.
    throw new BatonError('SECRET_MISSING', 'signing a proxy’s token: the private key is not one of `baton proxy key`');
  }
}

/**
 * The claims of a token that one of the keys signed and that has not expired.
 *
 * @returns undefined for all other tokens, without the reason
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
