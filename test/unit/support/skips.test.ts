import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const TESTS = fileURLToPath(new URL('../..', import.meta.url));
/** Skips that name no reason: `it.skip`, `describe.skipIf(…)`, `context.skip()`, `context.skip(condition)`. */
const SILENT_SKIPS = [
  /\b(?:it|test|describe)\.(?:skip|skipIf|runIf|todo)\b/,
  /[{,]\s*skip: /,
  /\.skip\((?:[^,()]|\((?:[^()]|\([^()]*\))*\))*\)/,
];

describe('a skipped test', () => {
  it('names its reason, by context.skip(condition, reason) or describeUnless', () => {
    const files = readdirSync(TESTS, { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.ts') && !['skips.test.ts', 'describe-unless.ts'].some((name) => file.endsWith(name)),
    );
    const silent = files.flatMap((file) =>
      readFileSync(join(TESTS, file), 'utf8')
        .split('\n')
        .filter((line) => SILENT_SKIPS.some((pattern) => pattern.test(line)))
        .map((line) => `${file}: ${line.trim()}`),
    );
    expect(silent).toEqual([]);
  });
});
