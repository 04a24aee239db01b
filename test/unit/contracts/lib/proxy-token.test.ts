import { describe, expect, it } from 'vitest';
import {
  createCredential,
  createTokenKey,
  signToken,
  signWithCredential,
  verifyToken,
} from '../../../../contracts/lib/proxy-token.ts';

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const now = new Date('2026-03-01T12:00:00Z');
const issued = now.getTime() / 1000;
const inSeconds = (seconds: number): Date => new Date(now.getTime() + seconds * 1000);

const key = createTokenKey();
const other = createTokenKey();
const keys = [other.publicKey, key.publicKey];
const claims = { proxy: 'proxy-a', issued, expires: issued + 365 * DAY_S };
const credential = createCredential(key.privateKey, claims);

/** The parts of a credential. */
function split(text: string): { certificate: string; ownKey: string } {
  const [, body = '', signature = '', ...own] = text.split('.');
  return { certificate: `${body}.${signature}`, ownKey: own.join('.') };
}

/** A token with that certificate, and claims that the proxy's key signed. */
function forge(text: string, given: Parameters<typeof signToken>[1]): string {
  const { certificate, ownKey } = split(text);
  return signToken(ownKey, given).replace(/^baton/, `baton.${certificate}`);
}

describe('the token of a proxy', () => {
  it('is valid until it expires, for its proxy and scopes, and for handing over alone where it names none', () => {
    const token = signToken(key.privateKey, { proxy: 'proxy-a', issued, expires: issued + 12 * HOUR_S });
    expect(verifyToken(token, keys, inSeconds(11 * HOUR_S))).toMatchObject({ proxy: 'proxy-a', scopes: ['delegate'] });
    expect(verifyToken(token, keys, inSeconds(12 * HOUR_S))).toBeUndefined();
    expect(verifyToken(token, [other.publicKey], now)).toBeUndefined();
    const both = { proxy: 'proxy-a', issued, expires: issued + HOUR_S, scopes: ['delegate', 'read'] as const };
    expect(verifyToken(signToken(key.privateKey, { ...both, scopes: [...both.scopes] }), keys, now)).toMatchObject({
      scopes: ['delegate', 'read'],
    });
  });

  it('is refused if it is valid for more than a day', () => {
    const lasting = (seconds: number): string =>
      signToken(key.privateKey, { proxy: 'proxy-a', issued, expires: issued + seconds });
    expect(verifyToken(lasting(DAY_S), keys, now)).toBeDefined();
    expect(verifyToken(lasting(DAY_S + 1), keys, now)).toBeUndefined();
    expect(verifyToken(lasting(90 * DAY_S), keys, inSeconds(89.5 * DAY_S))).toBeUndefined();
  });

  it('of a credential is valid for minutes, for handing over alone, until the credential expires', () => {
    const late = inSeconds(364 * DAY_S);
    const { token, expires } = signWithCredential(credential, late);
    expect(expires).toEqual(inSeconds(365 * DAY_S));
    expect(verifyToken(token, keys, late)).toMatchObject({ proxy: 'proxy-a', scopes: ['delegate'] });
    expect(verifyToken(token, keys, new Date(late.getTime() + 20 * 60_000))).toBeUndefined();
    expect(verifyToken(token, [other.publicKey], late)).toBeUndefined();
    expect(verifyToken(signWithCredential(credential, expires).token, keys, expires)).toBeUndefined();
    expect(signWithCredential(`${credential}\n`, now).expires).toEqual(expires);
  });

  it('of a credential is refused for another proxy, for longer, and without the credential’s own signature', () => {
    const minutes = { proxy: 'proxy-a', issued, expires: issued + 600 };
    expect(verifyToken(forge(credential, minutes), keys, now)).toBeDefined();
    expect(verifyToken(forge(credential, { ...minutes, proxy: 'proxy-b' }), keys, now)).toBeUndefined();
    expect(verifyToken(forge(credential, { ...minutes, expires: issued + HOUR_S }), keys, now)).toBeUndefined();
    const reading = forge(credential, { ...minutes, scopes: ['read', 'delegate'] });
    expect(verifyToken(reading, keys, now)).toMatchObject({ scopes: ['delegate'] });
    const { certificate } = split(credential);
    const stolen = signToken(other.privateKey, minutes).replace(/^baton/, `baton.${certificate}`);
    expect(verifyToken(stolen, [key.publicKey], now)).toBeUndefined();
    const own = createCredential(split(credential).ownKey, claims);
    expect(
      verifyToken(signWithCredential(own, now).token, keys, now),
      'a credential makes no credential',
    ).toBeUndefined();
  });

  it('is neither a certificate nor a credential', () => {
    const { certificate } = split(createCredential(key.privateKey, { ...claims, expires: issued + HOUR_S }));
    expect(verifyToken(`baton.${certificate}`, keys, now)).toBeUndefined();
    expect(verifyToken(credential, keys, now)).toBeUndefined();
    const token = signToken(key.privateKey, { proxy: 'proxy-a', issued, expires: issued + HOUR_S });
    expect(verifyToken(token.replace('baton.', `${token}.`), keys, now)).toBeUndefined();
    for (const text of ['', 'baton-credential', token, 'baton-credential.e30.x.y.z', credential.slice(0, -50)]) {
      expect(() => signWithCredential(text, now)).toThrow(/reading a proxy’s credential|signing a proxy’s token/);
    }
  });
});
