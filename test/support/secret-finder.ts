/** NATS seeds of accounts, users and operators, and the line above a seed in a credentials file. */
const SEED = /S[UAO][A-Z2-7]{56}|-----BEGIN USER NKEY SEED/;

/** A long secret may be cut in two where it is stored, such as in a database's pages: the finder looks for pieces of it. */
const PIECE_LENGTH = 64;

/** Finds secrets in any content, also encoded: as base64 in each of its three alignments, and as hex. */
export class SecretFinder {
  readonly #needles: { name: string; bytes: Buffer }[];

  /** @param secrets by a name that a failed test may show; each has at least 12 characters */
  constructor(secrets: Readonly<Record<string, string>>) {
    this.#needles = Object.entries(secrets).flatMap(([name, secret]) => {
      if (secret.length < 12) throw new Error(`${name} is too short to be distinguished from other text`);
      return listForms(secret).map((form) => ({ name, bytes: Buffer.from(form) }));
    });
  }

  /** The names of the secrets in the content; empty where there are none. */
  findIn(content: string | Uint8Array): string[] {
    const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.from(content);
    const found = new Set(this.#needles.filter((needle) => bytes.includes(needle.bytes)).map(({ name }) => name));
    const seed = SEED.exec(bytes.toString('latin1'));
    if (seed !== null) found.add(`a NATS seed at ${seed.index}`);
    return [...found];
  }
}

/** A secret as plain text, in base64 and in hex; a long one in pieces. */
function listForms(secret: string): string[] {
  return splitLongSecret(secret).flatMap((piece) => {
    const bytes = Buffer.from(piece);
    const encoded = [0, 1, 2].map((shift) => {
      // The first and last characters depend on the text around the secret: they are left out.
      const text = Buffer.concat([Buffer.alloc(shift), bytes])
        .toString('base64')
        .replace(/=+$/, '');
      return text.slice(shift === 0 ? 0 : 4, -3);
    });
    const forURLs = encoded.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
    return [...new Set([piece, ...encoded, ...forURLs, bytes.toString('hex'), encodeURIComponent(piece)])];
  });
}

function splitLongSecret(secret: string): string[] {
  if (secret.length <= 4 * PIECE_LENGTH) return [secret];
  // Not from the beginning, which may be the same for all secrets of this kind.
  return [0.25, 0.5, 0.75].map((at) => secret.slice(Math.floor(secret.length * at)).slice(0, PIECE_LENGTH));
}
