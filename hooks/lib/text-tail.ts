/** The last bytes of a text that grows. */
export class TextTail {
  readonly #maxBytes: number;
  #text = '';

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(more: string): void {
    this.#text += more;
    if (this.#text.length > 4 * this.#maxBytes) this.#text = this.#text.slice(-this.#maxBytes);
  }

  /** At most `maxBytes` of UTF-8, starting at a whole character. */
  toString(): string {
    const all = Buffer.from(this.#text, 'utf8');
    if (all.length <= this.#maxBytes) return this.#text;
    let start = all.length - this.#maxBytes;
    while (start < all.length && ((all[start] ?? 0) & 0xc0) === 0x80) start++;
    return all.subarray(start).toString('utf8');
  }
}
