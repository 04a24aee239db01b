import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatDuration } from '../../../contracts/format.ts';
import { formatTable } from '../../../services/cli/lib/text-table.ts';
import { writeReport } from '../../bench/write-report.ts';
import { MUTATIONS, mutate, type Mutation } from './mutations.ts';

/**
 * Runs chaos on copies of the code, each with a known-bad change: every one must be caught, and a copy without any change must pass.
 */
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const CHAOS_ARGUMENTS = ['--jobs', '40', '--faults', '8', '--seed', '1', '--max-fault', '4'];
const COMMAND = 'npm run chaos:mutations -- --write';
const PAGE = new URL('../../../deploy/docs/reference/chaos.md', import.meta.url);

const { values } = parseArgs({
  options: {
    write: { type: 'boolean', default: false },
    /** Part of the name of the only change to try. */
    only: { type: 'string' },
  },
});

interface Outcome {
  name: string;
  isAsExpected: boolean;
  /** The first problem that shows the change, or what was wrong with the run. */
  shown: string;
  durationMs: number;
}

const { only } = values;
const chosen = MUTATIONS.filter(({ name }) => only === undefined || name.includes(only));
const outcomes: Outcome[] = [];
for (const mutation of [...(only === undefined ? [undefined] : []), ...chosen]) outcomes.push(await runOn(mutation));
const rows = outcomes.map(({ name, isAsExpected, shown, durationMs }) => [
  name,
  isAsExpected ? 'as it must be' : 'WRONG',
  formatDuration(durationMs),
  shown,
]);
const table = formatTable([['change', 'result', 'after', 'shown by'], ...rows], 130);
console.log(`\n${table}`);
if (values.write) await writeReport('chaos:mutations', COMMAND, table, PAGE);
process.exit(outcomes.every(({ isAsExpected }) => isAsExpected) ? 0 : 1);

async function runOn(mutation: Mutation | undefined): Promise<Outcome> {
  const name = mutation?.name ?? 'none';
  console.log(`${name} …`);
  const since = Date.now();
  const folder = copyCode();
  try {
    if (mutation !== undefined) {
      const file = join(folder, mutation.file);
      writeFileSync(file, mutate(readFileSync(file, 'utf8'), mutation));
    }
    const { isAsExpected, shown } = await judge(mutation, folder);
    console.log(`  ${isAsExpected ? 'as it must be' : 'WRONG'}: ${shown}`);
    return { name, isAsExpected, shown: shorten(shown), durationMs: Date.now() - since };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A copy of all files of this repository that git knows or does not ignore; it shares the dependencies. */
function copyCode(): string {
  const folder = mkdtempSync(join(tmpdir(), 'baton-mutation-'));
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  for (const name of listed.split('\0').filter((name) => name !== '')) {
    cpSync(join(ROOT, name), join(folder, name), { force: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

async function judge(mutation: Mutation | undefined, folder: string): Promise<Pick<Outcome, 'isAsExpected' | 'shown'>> {
  const caughtBy = mutation?.caughtBy;
  if (caughtBy !== undefined && !('rules' in caughtBy)) {
    const { file, title } = caughtBy;
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts', file, '-t', title];
    const output = await runIn(folder, vitest);
    return { isAsExpected: /^0 passed, [1-9]\d* failed/m.test(output), shown: `${file}: ${title}` };
  }
  const output = await runIn(folder, ['test/chaos/main.ts', ...CHAOS_ARGUMENTS]);
  const problems = output.split('\n').flatMap((line) => (line.startsWith('- ') ? [line.slice(2)] : []));
  if (caughtBy === undefined) {
    const isGreen = /^seed \d+: green;/m.test(output);
    return { isAsExpected: isGreen, shown: isGreen ? 'green' : (problems[0] ?? output.slice(-500)) };
  }
  const { rules } = caughtBy;
  const caught = problems.find((problem) => rules.some((rule) => problem.startsWith(`${rule}: `)));
  return { isAsExpected: caught !== undefined, shown: caught ?? problems[0] ?? 'green' };
}

async function runIn(folder: string, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  return await text(child.stdout);
}

function shorten(shown: string): string {
  return shown.length > 120 ? `${shown.slice(0, 120)}…` : shown;
}
