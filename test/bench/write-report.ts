import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import type { DelegationsResult } from './delegations.ts';
import { ms } from './report.ts';
import type { GithubResult } from './github.ts';
import type { Result } from './scenario.ts';

const BENCHMARKS = new URL('../../deploy/docs/reference/benchmarks.md', import.meta.url);
const README = new URL('../../README.md', import.meta.url);

/**
 * Puts a report between the markers of that name in a page.
 *
 * @param made the command that made it
 * @param page default: the benchmarks
 */
export async function writeReport(marker: string, made: string, text: string, page = BENCHMARKS): Promise<void> {
  await change(page, (page) => replaceBlock(page, marker, `\`${made}\` made this:\n\n\`\`\`text\n${text}\n\`\`\``));
}

/** Puts the summary of what was measured into the README; rows that were not measured stay. */
export async function writeSummary(measured: SummaryInput): Promise<void> {
  await change(README, (page) => replaceSummary(page, measured));
}

export interface SummaryInput {
  steady?: Pick<Result, 'createP50Ms' | 'createP99Ms' | 'lost'> | undefined;
  burst5000?: Pick<Result, 'allCreatedMs' | 'lost'> | undefined;
  github2000?: Pick<GithubResult, 'registeredMs' | 'limitsMs' | 'lost'> | undefined;
  delegations?: Pick<DelegationsResult, 'runningP50Ms' | 'runningP99Ms' | 'lost'> | undefined;
}

const SUMMARY = 'bench:summary';

/** @returns the README with new rows in its summary, for what was measured */
export function replaceSummary(readme: string, { steady, burst5000, github2000, delegations }: SummaryInput): string {
  const rows = new Map(
    [...readBlock(readme, SUMMARY).matchAll(/^\| ([^|]+?) +\| ([^|]+?) +\|$/gm)]
      .map(([, what = '', value = '']): [string, string] => [what, value])
      .filter(([, value]) => !value.startsWith('--') && value !== 'Measured'),
  );
  const lost = (count: number): string => (count === 0 ? 'none lost' : `${count} lost`);
  if (steady !== undefined) {
    const { createP50Ms, createP99Ms } = steady;
    rows.set(
      'One job a second: from the webhook to the created instance',
      `p50 ${ms(createP50Ms)}, p99 ${ms(createP99Ms)}, ${lost(steady.lost)}`,
    );
  }
  if (burst5000 !== undefined) {
    rows.set(
      '5,000 jobs at once: until the last instance is created',
      `${ms(burst5000.allCreatedMs)}, ${lost(burst5000.lost)}`,
    );
  }
  if (github2000 !== undefined) {
    const { registeredMs, limitsMs } = github2000;
    rows.set(
      '2,000 jobs at once within GitHub’s limits for one App: until the last runner is registered',
      `${ms(registeredMs)} (the limits alone take ${ms(limitsMs)}), ${lost(github2000.lost)}`,
    );
  }
  if (delegations !== undefined) {
    const { runningP50Ms, runningP99Ms } = delegations;
    rows.set(
      '200 delegated jobs at once: until a job runs on an ephemeral runner',
      `p50 ${ms(runningP50Ms)}, p99 ${ms(runningP99Ms)}, ${lost(delegations.lost)}`,
    );
  }
  const table = [['What', 'Measured'], ['---', '---'], ...rows].map(([what, value]) => `| ${what} | ${value} |`);
  return replaceBlock(readme, SUMMARY, table.join('\n'));
}

/** What is between the markers of that name. */
export function readBlock(page: string, marker: string): string {
  const { from, to } = findBlock(page, marker);
  return page.slice(from, to);
}

function replaceBlock(page: string, marker: string, content: string): string {
  const { from, to } = findBlock(page, marker);
  return `${page.slice(0, from)}\n\n${content}\n\n${page.slice(to)}`;
}

/** What is between the markers of that name, which must be there. */
function findBlock(page: string, marker: string): { from: number; to: number } {
  const begin = `<!-- ${marker} -->`;
  const from = page.indexOf(begin) + begin.length;
  const to = page.indexOf(`<!-- /${marker} -->`);
  if (from < begin.length || to < from) throw new Error(`the page has no ${begin} … <!-- /${marker} -->`);
  return { from, to };
}

async function change(file: URL, edit: (page: string) => string): Promise<void> {
  const config = await resolveConfig(fileURLToPath(file));
  writeFileSync(file, await format(edit(readFileSync(file, 'utf8')), { ...config, parser: 'markdown' }));
}
