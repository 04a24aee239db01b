import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parsePrivateKey } from '../../../../contracts/lib/private-key.ts';
import { readPrivateKey } from '../../../../contracts/lib/read-secret.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PKCS1 = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
const PKCS8 = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const PUBLIC = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const PASSPHRASE = { cipher: 'aes-256-cbc', passphrase: 'x', format: 'pem' } as const;
const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });

describe('the private key of an App', () => {
  it.each([
    ['PKCS#1', PKCS1],
    ['PKCS#8', PKCS8],
    ['PKCS#1 with lines of Windows', PKCS1.replaceAll('\n', '\r\n')],
    ['PKCS#1 without its last line break', PKCS1.trim()],
  ])('is read as %s', (_name, value) => {
    expect(parsePrivateKey(value)).toEqual({ pem: value === PKCS8 ? PKCS8 : PKCS1, repaired: null });
  });

  it.each([
    ['without line breaks', PKCS1.replaceAll('\n', ''), 'has lost its line breaks'],
    ['with spaces instead', PKCS1.replaceAll('\n', ' '), 'has lost its line breaks'],
    ['with the two characters \\n instead', PKCS1.replaceAll('\n', String.raw`\n`), String.raw`the two characters \n`],
    ['with \\r\\n instead', PKCS1.replaceAll('\n', String.raw`\r\n`), String.raw`the two characters \n`],
    ['in base64', Buffer.from(PKCS1).toString('base64'), 'is base64 of a PEM file'],
    ['in base64, in lines', wrap(Buffer.from(PKCS1).toString('base64')), 'is base64 of a PEM file'],
    ['in quotation marks', `"${PKCS1}"`, 'has quotation marks around it'],
    ['in quotation marks, with \\n', `'${PKCS1.replaceAll('\n', String.raw`\n`)}'`, 'has quotation marks around it'],
  ])('is restored %s', (_name, value, repaired) => {
    expect(parsePrivateKey(value)).toEqual({ pem: PKCS1, repaired: expect.stringContaining(repaired) });
  });

  it.each([
    ['a public key', PUBLIC, 'is a public key'],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----', 'of type "CERTIFICATE"'],
    ['a key of OpenSSH', PKCS1.replaceAll('RSA', 'OPENSSH'), 'of type "OPENSSH PRIVATE KEY"'],
    ['PKCS#1 with a passphrase', privateKey.export({ type: 'pkcs1', ...PASSPHRASE }).toString(), 'is encrypted'],
    ['PKCS#8 with a passphrase', privateKey.export({ type: 'pkcs8', ...PASSPHRASE }).toString(), 'is encrypted'],
    ['another kind of key', EC.toString(), 'is not an RSA key'],
    ['its first line alone', PKCS1.split('\n')[0] ?? '', 'is cut off'],
    ['its first half', PKCS1.slice(0, 800), 'is cut off'],
    ['a key that lacks a line', PKCS1.split('\n').toSpliced(5, 1).join('\n'), 'is damaged'],
    ['the name of its file', './app.private-key.pem', 'is the name of a file'],
    ['some other text', 'sesame', 'is no PEM'],
    ['base64 of some other text', 'c2VzYW1lIQ==', 'is no PEM'],
  ])('is not %s', (_name, value, problem) => {
    expect(parsePrivateKey(value)).toEqual({ problem: expect.stringContaining(problem) });
  });

  it('is read from its variable, which an error names, without its value', () => {
    expect(readPrivateKey({ env: 'KEY' }, { KEY: PKCS1.replaceAll('\n', ' ') })).toBe(PKCS1);
    expect(() => readPrivateKey({ env: 'KEY' }, { KEY: 'sesame' })).toThrow(/^(?!.*sesame).*value of KEY is no PEM/);
  });
});

function wrap(text: string): string {
  return text.replaceAll(/(.{76})/g, '$1\n');
}
