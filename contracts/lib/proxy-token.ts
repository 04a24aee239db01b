import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { BatonError } from '../errors.ts';
import { NAME_PATTERN } from '../workflows/runner-name.ts';

/**
 * Proxies' bearer tokens: `baton.<claims>.<signature>`, both parts base64url, with an Ed25519 signature of the claims. Services
 * have only public keys, so that they can verify a token but not create one. No token is stored, and none is valid for long.
 *
 * A proxy has a credential, which is valid for long: a key pair of its own, and a certificate for it, which has the form of a token
 * and is signed by a configured key. With it, it signs tokens of minutes: `baton.<certificate>.<signature>.<claims>.<signature>`.
 */
const PREFIX = 'baton';
const CREDENTIAL_PREFIX = 'baton-credential';

/** A bearer token is valid for at most so long: a stolen one is no good for longer. */
export const MAX_TOKEN_LIFETIME_S = 24 * 3600;
/** Of a token that a credential signs: longer than any request takes, with its retries, and clocks that differ. */
const SIGNED_LIFETIME_S = 15 * 60;

/** What a token is good for: handing jobs over, and reading what becomes of them. */
export const TOKEN_SCOPES = ['delegate', 'read'] as const;
export type TokenScope = (typeof TOKEN_SCOPES)[number];

const claims = z.object({
  /** The only proxy that may use it. */
  proxy: z.string().max(60).regex(NAME_PATTERN),
  /** Seconds since the epoch. */
  issued: z.number().int(),
  expires: z.number().int(),
  scopes: z.array(z.enum(TOKEN_SCOPES)).default(['delegate']),
});
/** A certificate is no token: strict schemas keep them apart. */
const tokenClaims = claims.strict();
const certificateClaims = claims.extend({ key: z.string().regex(/^[\w-]{43}$/) });

export type TokenClaims = z.output<typeof tokenClaims>;
type GivenClaims = z.input<typeof tokenClaims>;

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
export function signToken(privateKey: string, token: GivenClaims): string {
  return `${PREFIX}.${signClaims(privateKey, tokenClaims.parse(token))}`;
}

/**
 * Creates a credential for that proxy: `baton-credential.<certificate>.<signature>.<private key>`.
 *
 * @param privateKey as {@link createTokenKey} made it
 * @throws BatonError SECRET_MISSING when it is no such key
 */
export function createCredential(privateKey: string, token: GivenClaims): string {
  const own = createTokenKey();
  const certificate = signClaims(privateKey, certificateClaims.parse({ ...token, key: own.publicKey }));
  return `${CREDENTIAL_PREFIX}.${certificate}.${own.privateKey}`;
}

/**
 * Signs a token of minutes with a proxy's credential.
 *
 * @returns the token, and when the credential expires
 * @throws BatonError SECRET_INVALID when it is no credential
 */
export function signWithCredential(credential: string, now: Date): { token: string; expires: Date } {
  const [prefix, body = '', signature = '', ...key] = credential.trim().split('.');
  const certificate = prefix === CREDENTIAL_PREFIX ? certificateClaims.safeParse(parseClaims(body)).data : undefined;
  if (certificate === undefined || key.length !== 2) {
    throw new BatonError('SECRET_INVALID', 'reading a proxy’s credential: it is none of `baton proxy credential`');
  }
  const { proxy, expires, scopes } = certificate;
  const issued = Math.floor(now.getTime() / 1000);
  const signed = signClaims(key.join('.'), { proxy, issued, expires: issued + SIGNED_LIFETIME_S, scopes });
  return { token: `${PREFIX}.${body}.${signature}.${signed}`, expires: new Date(expires * 1000) };
}

function signClaims(privateKey: string, given: object): string {
  const [d, x] = privateKey.split('.');
  const body = Buffer.from(JSON.stringify(given)).toString('base64url');
  try {
    const key = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', d, x }, format: 'jwk' });
    return `${body}.${sign(null, Buffer.from(body), key).toString('base64url')}`;
  } catch {
    // No cause: it would contain the key.
    throw new BatonError('SECRET_MISSING', 'signing a proxy’s token: the private key is not one of `baton proxy key`');
  }
}

/**
 * The claims of a token that one of the keys signed, or a credential that one of the keys signed; that has not expired, and is not
 * valid for longer than a token may be.
 *
 * @returns undefined for all other tokens, without the reason
 */
export function verifyToken(token: string, publicKeys: readonly string[], now: Date): TokenClaims | undefined {
  const [prefix, ...parts] = token.split('.');
  if (prefix !== PREFIX || (parts.length !== 2 && parts.length !== 4) || token.length > 2000) return undefined;
  const time = now.getTime() / 1000;
  const [certificateBody = '', certificateSignature = ''] = parts;
  let keys = publicKeys;
  let certificate: z.output<typeof certificateClaims> | undefined;
  if (parts.length === 4) {
    if (!isSigned(certificateBody, certificateSignature, publicKeys)) return undefined;
    certificate = certificateClaims.safeParse(parseClaims(certificateBody)).data;
    if (certificate === undefined || certificate.expires <= time) return undefined;
    keys = [certificate.key];
  }
  const [body = '', signature = ''] = parts.slice(-2);
  if (!isSigned(body, signature, keys)) return undefined;
  const found = tokenClaims.safeParse(parseClaims(body)).data;
  if (found === undefined || found.expires <= time) return undefined;
  if (certificate === undefined) return found.expires - found.issued <= MAX_TOKEN_LIFETIME_S ? found : undefined;
  // Whoever could use a credential for a moment has no token for longer, and none for another proxy.
  if (found.expires > time + 2 * SIGNED_LIFETIME_S || found.proxy !== certificate.proxy) return undefined;
  return { ...found, scopes: found.scopes.filter((scope) => certificate.scopes.includes(scope)) };
}

/** When a token expires, seconds since the epoch, without a look at its signature; undefined if it is no token. */
export function readTokenExpiry(token: string): number | undefined {
  return tokenClaims.safeParse(parseClaims(token.split('.').at(-2) ?? '')).data?.expires;
}

function isSigned(body: string, signature: string, publicKeys: readonly string[]): boolean {
  return publicKeys.some((x) => {
    try {
      const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
      return verify(null, Buffer.from(body), key, Buffer.from(signature, 'base64url'));
    } catch {
      return false;
    }
  });
}

function parseClaims(body: string): unknown {
  try {
    return JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
