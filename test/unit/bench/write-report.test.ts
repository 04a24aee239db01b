import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { replaceSummary } from '../../bench/write-report.ts';

const README = `# Baton

<!-- bench:summary -->

| What                                                       | Measured                           |
| ---------------------------------------------------------- | ---------------------------------- |
| One job a second: from the webhook to the created instance | p50 56 ms, p99 154 ms, none lost   |
| 5,000 jobs at once: until the last instance is created     | 212.4 s, none lost                 |

<!-- /bench:summary -->

## Contributing
`;

const cellsOf = (readme: string): string[][] =>
  [...readme.matchAll(/^\|(.*)\|$/gm)].map(([, cells = '']) => cells.split('|').map((cell) => cell.trim()));

describe('the summary of the bench in the README', () => {
  it('replaces the rows that were measured and leaves the others', () => {
    const changed = replaceSummary(README, { burst5000: { allCreatedMs: 198_040, lost: 2 } });
    expect(cellsOf(changed)).toEqual([
      ['What', 'Measured'],
      ['---', '---'],
      ['One job a second: from the webhook to the created instance', 'p50 56 ms, p99 154 ms, none lost'],
      ['5,000 jobs at once: until the last instance is created', '198.0 s, 2 lost'],
    ]);
    expect(changed).toMatch(/^# Baton\n/);
    expect(changed).toMatch(/## Contributing\n$/);
  });

  it('adds a row that the README does not have yet', () => {
    const changed = replaceSummary(README, { delegations: { runningP50Ms: 26_500, runningP99Ms: 35_300, lost: 0 } });
    expect(cellsOf(changed)).toHaveLength(5);
    expect(cellsOf(changed).at(-1)).toEqual([
      '200 delegated jobs at once: until a job runs on an ephemeral runner',
      'p50 26.5 s, p99 35.3 s, none lost',
    ]);
  });

  it('refuses a README without the markers', () => {
    expect(() => replaceSummary('# Baton\n', {})).toThrow('<!-- bench:summary -->');
  });

  it('has four rows in the README of today', () => {
    const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
    expect(cellsOf(replaceSummary(readme, {})).filter(([, value]) => value?.endsWith('lost'))).toHaveLength(4);
  });
});
