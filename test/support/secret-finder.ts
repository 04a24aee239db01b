/** NATS seeds of accounts, users and operators, and what stands above one in a credentials file. */
const SEED = /S[UAO][A-Z2-7]{56}|-----BEGIN USER NKEY SEED/;

/** Longer secrets may be cut in two where they are stored (a database's pages): pieces of them are looked for. */
const PIECE = 64;

/** Looks for secrets in anything, also in their usual disguises: base64 in each of its three alignments, and hex. */
export class SecretFinder {
  readonly #needles: { name: string; bytes: Buffer }[];

  /** @param secrets by a name that a failed test may show; each at least 12 characters */
  constructor(secrets: Readonly<Record<string, string>>) {
    this.#needles = Object.entries(secrets).flatMap(([name, secret]) => {
      if (secret.length < 12) throw new Error(`${name} is too short to be told from other text`);
      return formsOf(secret).map((form) => ({ name, bytes: Buffer.from(form) }));
    });
  }

  /** The names of all secrets that are in it; empty where there is none. */
  in(content: string | Uint8Array): string[] {
    const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.from(content);
    const found = new Set(this.#needles.filter((needle) => bytes.includes(needle.bytes)).map(({ name }) => name));
    const seed = SEED.exec(bytes.toString('latin1'));
    if (seed !== null) found.add(`a NATS seed at ${seed.index}`);
    return [...found];
  }
}

/** A secret as it would stand in text, in base64 and in hex; a long one in pieces. */
function formsOf(secret: string): string[] {
  return piecesOf(secret).flatMap((piece) => {
    const bytes = Buffer.from(piece);
    const encoded = [0, 1, 2].map((shift) => {
      // What is before and after decides over the first and the last characters: those are left out.
      const text = Buffer.concat([Buffer.alloc(shift), bytes])
        .toString('base64')
        .replace(/=+$/, '');
      return text.slice(shift === 0 ? 0 : 4, -3);
    });
    const forURLs = encoded.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
    return [...new Set([piece, ...encoded, ...forURLs, bytes.toString('hex'), encodeURIComponent(piece)])];
  });
}

function piecesOf(secret: string): string[] {
  if (secret.length <= 4 * PIECE) return [secret];
  // Not from its beginning, which may say no more than what kind of thing it is.
  return [0.25, 0.5, 0.75].map((at) => secret.slice(Math.floor(secret.length * at)).slice(0, PIECE));
}
