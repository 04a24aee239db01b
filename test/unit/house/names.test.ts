import { describe, expect, it } from 'vitest';
import { sourceFiles } from './source-files.ts';

const EXPORT =
  /^export (?:default )?(?:async )?(?:abstract )?(?:function\*?|class|interface|type|const|let|enum) (\w+)/gm;

describe('exported names', () => {
  it('are exported by one file each, so that a search finds one thing', () => {
    const homes = new Map<string, string[]>();
    for (const { path, text } of sourceFiles(/(?<!\.d)\.(?:ts|mjs)$/)) {
      for (const name of new Set([...text.matchAll(EXPORT)].map(([, name = '']) => name))) {
        homes.set(name, [...(homes.get(name) ?? []), path]);
      }
    }
    expect(homes.size).toBeGreaterThan(500);
    expect([...homes].filter(([, paths]) => paths.length > 1)).toEqual([]);
  });
});
