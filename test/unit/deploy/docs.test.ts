import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PAGES } from '../../tools/docs/write.ts';

describe('the generated documentation', () => {
  it.each(Object.entries(PAGES))('%s is what `npm run docs` makes', async (page, make) => {
    expect(readFileSync(new URL(`../../../deploy/docs/${page}`, import.meta.url), 'utf8')).toBe(await make());
  });
});
