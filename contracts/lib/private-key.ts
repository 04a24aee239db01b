import { createPrivateKey, type KeyObject } from 'node:crypto';

/** What a value is as the private key of a GitHub App. No text of it contains a part of the value. */
export type PrivateKeyReading =
  /** `repaired` says what was wrong with the value's form, null where nothing was. */
  { pem: string; repaired: string | null } | { problem: string };

/** The last line is optional, so that a cut key is recognised as one. */
const PEM = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)(-----END \1-----)?/;
const BASE64 = /^[\w+/=\s-]+$/;
const LINE_LENGTH = 64;

/**
 * Reads an RSA private key in PEM. Ways of setting a variable that lose the line breaks, keep quotation marks or need
 * base64 are frequent; a key that they changed is restored, since nothing of it is lost.
 */
export function parsePrivateKey(value: string): PrivateKeyReading {
  const text = value.trim().replace(/^(["'])([\s\S]*)\1$/, '$2');
  const repaired = text === value.trim() ? null : 'has quotation marks around it';
  if (text.includes('-----BEGIN')) return parsePem(text, repaired);
  const decoded = BASE64.test(text) ? Buffer.from(text, 'base64').toString('latin1') : '';
  if (decoded.startsWith('-----BEGIN')) return parsePem(decoded, 'is base64 of a PEM file');
  if (/^[~./]|\.pem$/.test(text)) return { problem: 'is the name of a file, but must be the content of that file' };
  return { problem: 'is no PEM: it has no line -----BEGIN … PRIVATE KEY-----' };
}

function parsePem(text: string, form: string | null): PrivateKeyReading {
  const lines = text.replaceAll(/\\r|\\n/g, '\n');
  const [, label = '', body = '', footer] = PEM.exec(lines) ?? [];
  const problem = findLabelProblem(label, lines);
  if (problem !== undefined) return { problem };
  if (footer === undefined) {
    return { problem: 'is cut off: it has no line -----END; an environment file takes one line for each variable' };
  }
  const content = body.replaceAll(/\s/g, '');
  const wrapped = content.match(new RegExp(`.{1,${LINE_LENGTH}}`, 'g')) ?? [];
  const pem = [`-----BEGIN ${label}-----`, ...wrapped, `-----END ${label}-----`, ''].join('\n');
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // OpenSSL's reason helps nobody, and the error must not quote the key.
    return { problem: 'is damaged: what is between its first and last line is not a private key' };
  }
  if (key.asymmetricKeyType !== 'rsa') return { problem: 'is not an RSA key, so it is not of a GitHub App' };
  return { pem, repaired: form ?? findFormProblem(text, body) };
}

function findLabelProblem(label: string, text: string): string | undefined {
  if (text.includes('ENCRYPTED')) {
    return 'is encrypted with a passphrase: decrypt it with `openssl pkey -in KEY.pem -out DECRYPTED.pem`';
  }
  if (label === 'PRIVATE KEY' || label === 'RSA PRIVATE KEY') return undefined;
  if (label === 'PUBLIC KEY' || label === 'RSA PUBLIC KEY') return 'is a public key, not the private key of the App';
  return `is a PEM file of type "${label}", not the private key of the App`;
}

function findFormProblem(text: string, body: string): string | null {
  if (/\\n/.test(text)) return 'has the two characters \\n instead of line breaks';
  return /^\s*\n/.test(body) ? null : 'has lost its line breaks';
}
