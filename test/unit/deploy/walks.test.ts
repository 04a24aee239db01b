import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const read = (file: string): string => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

/** The hops of “Find your way”: `name` ([file](file)). A name may be `Class.method`. */
const hops = [...read('CONTRIBUTING.md').matchAll(/^\d+\. `([\w.]+)` \(\[[^\]]+\]\(([^)]+)\)\)/gm)].map(
  ([, name = '', file = '']): [name: string, file: string] => [name, file],
);

describe('the walks through the code in CONTRIBUTING', () => {
  it('has three walks, hop by hop', () => {
    expect(hops.length).toBeGreaterThan(30);
  });

  it.each(hops)('%s is declared in %s', (name, file) => {
    const source = read(file);
    for (const part of name.split('.')) {
      expect(source).toMatch(
        new RegExp(`(function|class|const) ${part}\\b|^ +(async )?#?${part}[(<]|^${part}\\(\\)`, 'm'),
      );
    }
  });
});
