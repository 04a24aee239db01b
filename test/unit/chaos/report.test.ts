import { describe, expect, it } from 'vitest';
import { mergeResults } from '../../chaos/report.ts';

describe('the results of several seeds', () => {
  it('keep a line for each, in order; a seed that ran again has its new one', () => {
    const before = '\n`npm run chaos` made this:\n\n```text\nseed 2: green; a\nseed 10: green; b\na machine\n```\n';
    expect(mergeResults(before, ['seed 10: 1 problems; c', 'seed 3: green; d'])).toEqual([
      'seed 2: green; a',
      'seed 3: green; d',
      'seed 10: 1 problems; c',
    ]);
    expect(mergeResults('', [])).toEqual([]);
  });
});
