import { StringDecoder } from 'node:string_decoder';

/** A longer line is passed on in pieces, characters. */
const MAX_LINE_LENGTH = 65_536;

const MASK = '***';

/**
 * Splits the output of a program into lines and masks secrets in them, including those that arrive in several chunks.
 */
export class MaskedLines {
  readonly #secrets: readonly string[];
  readonly #emit: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  /**
   * @param secrets longest first
   * @param emit receives whole lines with their line end; the last one may lack it
   */
  constructor(secrets: readonly string[], emit: (line: string) => void) {
    this.#secrets = secrets;
    this.#emit = emit;
  }

  push(chunk: Buffer): void {
    this.#rest += this.#decoder.write(chunk);
    const cut = this.#rest.lastIndexOf('\n') + 1;
    if (cut > 0) this.#pass(cut);
    while (this.#rest.length > MAX_LINE_LENGTH) this.#pass(this.#findSafeCut());
  }

  end(): void {
    this.#rest += this.#decoder.end();
    if (this.#rest !== '') this.#pass(this.#rest.length);
  }

  #pass(cut: number): void {
    let text = this.#rest.slice(0, cut);
    this.#rest = this.#rest.slice(cut);
    for (const secret of this.#secrets) text = text.replaceAll(secret, MASK);
    this.#emit(text);
  }

  /** Where a long line can be cut without cutting a secret, even one of which only the beginning has arrived. */
  #findSafeCut(): number {
    const longest = this.#secrets[0]?.length ?? 0;
    let cut = Math.max(1, this.#rest.length - longest);
    for (const secret of this.#secrets) {
      const from = Math.max(0, cut - secret.length + 1);
      const at = this.#rest.indexOf(secret, from);
      if (at > 0 && at < cut && at + secret.length > cut) cut = at;
    }
    return cut;
  }
}
