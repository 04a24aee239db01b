import { createPrivateKey, sign } from 'node:crypto';
import { createUser, encodeUser, fmtCreds, fromSeed, type KeyPair } from '@nats-io/jwt';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import { NAME_PATTERN } from '../../contracts/workflows/runner-name.ts';

/** The PKCS#8 header of a raw Ed25519 seed (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/**
 * How many seconds longer than its runner a credential is valid: the clocks of the NATS server and of the signer may
 * differ by minutes, and a runner must be able to report its end. It only allows the signals of a runner that has ended
 * by then.
 */
export const CLOCK_TOLERANCE_S = 15 * 60;

export interface CredentialOrder {
  runner: string;
  /**
   * End of the runner's time to live, ISO 8601: {@link CLOCK_TOLERANCE_S} later NATS refuses the credential, and ends
   * connections made with it.
   */
  expiresAt: string;
}

/** Makes the content of a NATS credentials file: a secret. */
export type CredentialMint = (order: CredentialOrder) => Promise<string>;

/**
 * Makes the function that creates runners' NATS credentials: user JWTs named like the runner and signed by the
 * account's *scoped* signing key. The account, not the JWT, defines what such a user may do: publish its own signals
 * and its own registration request, and subscribe to its own inbox. So a leaked signing key cannot make a credential
 * that allows more.
 *
 * @param account the account's public key, A…
 * @param signingKeySeed SA…, a secret
 * @throws BatonError CONFIG_INVALID when a key is of the wrong kind; the mint throws INSTANCE_INVALID for a name that
 *   could match other subjects than its own
 */
export function createCredentialMint(account: string, signingKeySeed: string): CredentialMint {
  let signer: KeyPair;
  try {
    if (!/^A[A-Z2-7]{55}$/.test(account)) throw new Error('nats.account is not the public key of an account (A…)');
    signer = createSigner(signingKeySeed.trim());
    if (!signer.getPublicKey().startsWith('A')) throw new Error('it is not the key of an account (SA…)');
  } catch (error) {
    // The library's errors contain no key material.
    const message = `reading the signing key for runners’ credentials: ${getErrorMessage(error)}`;
    throw new BatonError('CONFIG_INVALID', message);
  }
  return async ({ runner, expiresAt }) => {
    if (!NAME_PATTERN.test(runner) || runner.length > 63) {
      throw new BatonError('INSTANCE_INVALID', `making a credential for "${runner}": not a valid runner name`);
    }
    const exp = Math.floor(new Date(expiresAt).getTime() / 1000) + CLOCK_TOLERANCE_S;
    const user = cachePublicKey(createUser());
    // A scoped user's own claims must be empty: the account's template defines them.
    const jwt = await encodeUser(runner, user, account, {}, { signer, scopedUser: true, exp });
    return new TextDecoder().decode(fmtCreds(jwt, user));
  };
}

/** A key that computes its public key once: the library does so on every call, 3 ms each in plain JavaScript. */
function cachePublicKey(key: KeyPair): KeyPair {
  const publicKey = key.getPublicKey();
  return {
    getPublicKey: () => publicKey,
    getPrivateKey: () => key.getPrivateKey(),
    getSeed: () => key.getSeed(),
    sign: (input) => key.sign(input),
    verify: (input, signature) => key.verify(input, signature),
    clear: () => key.clear(),
    seal: (input, recipient, nonce) => key.seal(input, recipient, nonce),
    open: (message, sender) => key.open(message, sender),
  };
}

/** A key that signs with OpenSSL: 0.1 ms instead of 6 ms, and a backend makes hundreds of credentials a minute. */
function createSigner(seed: string): KeyPair {
  const key = cachePublicKey(fromSeed(new TextEncoder().encode(seed)));
  const privateKey = key.getPrivateKey();
  // A seed's text is base32 of 2 bytes for the kind, 32 for the seed and 2 for the checksum (checked by fromSeed
  // above).
  const raw = decodeBase32(seed).subarray(2, 34);
  const openssl = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, raw]), format: 'der', type: 'pkcs8' });
  return { ...key, getPrivateKey: () => privateKey, sign: (input) => sign(null, input, openssl) };
}

function decodeBase32(text: string): Buffer {
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const character of text) {
    value = ((value << 5) | BASE32.indexOf(character)) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 0xff);
    }
  }
  return Buffer.from(bytes);
}
