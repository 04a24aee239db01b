import { StringDecoder } from 'node:string_decoder';

/** A line longer than this is passed on in pieces, characters. */
const MAX_LINE = 65_536;

const MASK = '***';

/** GitHub's JIT config: base64 of `{fileName: base64 of its content}`. Another shape has just itself as a secret. */
function filesOf(jitConfig: string): [name: string, content: string][] {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(jitConfig, 'base64').toString('utf8'));
    if (typeof parsed !== 'object' || parsed === null) return [];
    return Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  } catch {
    return [];
  }
}

function leaves(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [];
}

/** All texts that must not be printed: the JIT config, its parts, what is inside its credentials, our own credential. */
export function secretsOf(jitConfig: string, natsCredentials: string): string[] {
  const secrets = [jitConfig];
  for (const [name, content] of filesOf(jitConfig)) {
    secrets.push(content);
    if (!/credential/i.test(name)) continue;
    try {
      const text = Buffer.from(content, 'base64').toString('utf8');
      secrets.push(text, ...leaves(JSON.parse(text)));
    } catch {
      // Not JSON inside: its encoded form is masked already.
    }
  }
  secrets.push(...natsCredentials.split('\n').filter((line) => /^[\w.-]+$/.test(line) && !line.startsWith('-')));
  // Short texts (a scheme's name, `true`) are no secrets, and masking them would make the output unreadable. Longest
  // first, so that a secret inside another does not leave the rest of it standing.
  return [...new Set(secrets.map((text) => text.trim()))]
    .filter((text) => text.length >= 16)
    .sort((a, b) => b.length - a.length);
}

/** Cuts a program's output into lines and masks secrets in them, also those that arrive in several chunks. */
export class MaskedLines {
  private readonly secrets: readonly string[];
  private readonly emit: (line: string) => void;
  private readonly decoder = new StringDecoder('utf8');
  private rest = '';

  /** @param emit is given whole lines with their line end; the last may lack it */
  constructor(secrets: readonly string[], emit: (line: string) => void) {
    this.secrets = secrets;
    this.emit = emit;
  }

  push(chunk: Buffer): void {
    this.rest += this.decoder.write(chunk);
    const cut = this.rest.lastIndexOf('\n') + 1;
    if (cut > 0) this.pass(cut);
    while (this.rest.length > MAX_LINE) this.pass(this.safeCut());
  }

  end(): void {
    this.rest += this.decoder.end();
    if (this.rest !== '') this.pass(this.rest.length);
  }

  private pass(cut: number): void {
    let text = this.rest.slice(0, cut);
    this.rest = this.rest.slice(cut);
    for (const secret of this.secrets) text = text.replaceAll(secret, MASK);
    this.emit(text);
  }

  /** Where a long line can be cut without cutting a secret, come whole or still arriving. */
  private safeCut(): number {
    const longest = this.secrets[0]?.length ?? 0;
    let cut = Math.max(1, this.rest.length - longest);
    for (const secret of this.secrets) {
      const from = Math.max(0, cut - secret.length + 1);
      const at = this.rest.indexOf(secret, from);
      if (at > 0 && at < cut && at + secret.length > cut) cut = at;
    }
    return cut;
  }
}

/** The last bytes of a text that grows. */
export class Tail {
  private readonly bytes: number;
  private text = '';

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  add(more: string): void {
    this.text += more;
    if (this.text.length > 4 * this.bytes) this.text = this.text.slice(-this.bytes);
  }

  /** At most that many bytes of UTF-8, beginning at a whole character. */
  toString(): string {
    const all = Buffer.from(this.text, 'utf8');
    if (all.length <= this.bytes) return this.text;
    let start = all.length - this.bytes;
    while (start < all.length && ((all[start] ?? 0) & 0xc0) === 0x80) start++;
    return all.subarray(start).toString('utf8');
  }
}
