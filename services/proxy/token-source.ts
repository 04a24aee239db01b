import { readFileSync } from 'node:fs';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import { readTokenExpiry, signWithCredential } from '../../contracts/lib/proxy-token.ts';

/** Where a proxy has its bearer tokens from. */
export interface TokenSource {
  /** A token that is valid now, unless its credential has expired. */
  current(): string;
  /** When the credential expires, or the token where there is none; seconds since the epoch. */
  expiry(): number;
}

/**
 * Signs tokens of minutes with the credential in a file, which is read again each time: a new one needs no restart.
 *
 * @throws BatonError CONFIG_UNREADABLE, SECRET_INVALID
 */
export function createCredentialSource(file: string): TokenSource {
  let credential = readCredential(file);
  let expires = signWithCredential(credential, new Date()).expires;
  return {
    current: () => {
      const signed = signNewest();
      expires = signed.expires;
      return signed.token;
    },
    expiry: () => expires.getTime() / 1000,
  };

  /** A file that is being replaced, or that nobody can read any more, takes no credential away. */
  function signNewest(): ReturnType<typeof signWithCredential> {
    const now = new Date();
    try {
      const newest = readCredential(file);
      const signed = signWithCredential(newest, now);
      credential = newest;
      return signed;
    } catch {
      return signWithCredential(credential, now);
    }
  }
}

/** A token of `baton proxy token`, which is valid for hours. */
export function createFixedSource(token: string): TokenSource {
  return { current: () => token, expiry: () => readTokenExpiry(token) ?? 0 };
}

function readCredential(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new BatonError('CONFIG_UNREADABLE', `reading the proxy’s credential: ${getErrorMessage(error)}`);
  }
}
