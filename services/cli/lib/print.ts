/**
 * Control characters of C0 and C1 but tab and line feed, which a terminal may obey: escape sequences write to the clipboard (OSC 52) or
 * hide lines. And those that reverse the order of text, so that it reads as something else.
 */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/**
 * Makes each control character of a text visible as `\u001b`, in JSON too, where that means the same. Names of repositories, jobs and branches
 * come from strangers.
 */
export function showControlCharacters(text: string): string {
  return text.replaceAll(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Prints a text and the end of its line. All that `baton` prints goes through here. */
export function print(text: string): void {
  process.stdout.write(`${showControlCharacters(text)}\n`);
}

/** As {@link print}, on standard error. */
export function printProblem(text: string): void {
  process.stderr.write(`${showControlCharacters(text)}\n`);
}
