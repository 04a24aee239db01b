import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MUTATIONS, mutate } from '../../chaos/mutations/mutations.ts';

describe('the known-bad changes for chaos', () => {
  it.each(MUTATIONS.map((mutation) => [mutation.name, mutation] as const))('%s: fits the code', (_name, mutation) => {
    const text = readFileSync(new URL(`../../../${mutation.file}`, import.meta.url), 'utf8');
    expect(mutate(text, mutation)).not.toBe(text);
  });
});
