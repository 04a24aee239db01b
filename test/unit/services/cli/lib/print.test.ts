import { describe, expect, it } from 'vitest';
import { showControlCharacters } from '../../../../../services/cli/lib/print.ts';
import { formatTable } from '../../../../../services/cli/lib/text-table.ts';

/** Writes “secret” to the clipboard of many terminals. */
const CLIPBOARD = '\u001b]52;c;c2VjcmV0\u0007';

describe('showControlCharacters', () => {
  it('shows what a terminal would obey, with one byte or two, and what reverses a text', () => {
    expect(showControlCharacters(`a${CLIPBOARD}b`)).toBe(String.raw`a\u001b]52;c;c2VjcmV0\u0007b`);
    expect(showControlCharacters('\u009b2J\u0000\u007f\r\u202e')).toBe(String.raw`\u009b2J\u0000\u007f\u000d\u202e`);
  });

  it('leaves lines, tabs and all letters as they are', () => {
    const text = 'naïve – “übung”\t日本語 🚀\nnext';
    expect(showControlCharacters(text)).toBe(text);
  });

  it('leaves JSON what it is', () => {
    const value = { name: `${CLIPBOARD}\u009b`, list: ['\n'] };
    expect(JSON.parse(showControlCharacters(JSON.stringify(value, null, 2)))).toEqual(value);
  });
});

it('formatTable keeps a name with line breaks in its own row, and shows its control characters', () => {
  expect(
    formatTable(
      [
        ['JOB', 'STATE'],
        [`a\n\tb${CLIPBOARD}`, 'ok'],
      ],
      60,
    ).split('\n'),
  ).toEqual(['JOB                             STATE', String.raw`a  b\u001b]52;c;c2VjcmV0\u0007  ok`]);
});
