import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const guide = readFileSync(`${ROOT}deploy/docs/guides/security.md`, 'utf8');

/** `- Test: [path](link) › title` */
const tests = [...guide.matchAll(/^- Test: \[`([^`]+)`\]\(\S+\) › (.+)$/gm)].map(([, file = '', title = '']) => ({
  file,
  title,
}));

describe('the security guide', () => {
  it('has a test, or says that none is needed, for each threat', () => {
    expect(tests.length).toBeGreaterThan(30);
    expect(guide.match(/^- Test:/gm)).toHaveLength(tests.length);
  });

  it.each(tests)('names a test that exists: $file › $title', ({ file, title }) => {
    expect(existsSync(ROOT + file)).toBe(true);
    // Titles are literals, but for the quotes that a string needs.
    expect(readFileSync(ROOT + file, 'utf8').replaceAll("\\'", "'")).toContain(title);
  });
});
