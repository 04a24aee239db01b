// `npm test`: vitest, then what was skipped and why, then one plain line of counts.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** More files than these fail for a reason, not by chance. */
const FILES_TRIED_AGAIN = 3;

/**
 * Runs the tests; resolves with the exit code. Where `CI` is set, a few files that failed run once more by themselves: a whole
 * change hangs on this one run. What passes only then is named, as a defect to mend.
 *
 * @param {string[]} args vitest's
 * @param {(args: string[], env: Record<string, string>) => Promise<number>} run a script with the project's Node
 */
export async function runTests(args, run) {
  const folder = mkdtempSync(join(tmpdir(), 'baton-test-'));
  try {
    const once = async (report, rest) => {
      const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
      const reporters = ['--reporter=default', `--reporter=${join(ROOT, 'test', 'tools', 'test-report.ts')}`];
      const config = ['--config', join(ROOT, 'test', 'vitest.config.ts')];
      const code = await run([vitest, 'run', ...config, ...reporters, ...rest], { BATON_TEST_REPORT: report });
      return { code, ...(existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : {}) };
    };
    const { code, files, unhandled } = await once(join(folder, 'first.json'), args);
    if (files === undefined) {
      console.log('the tests did not run to their end\n0 passed, 1 failed');
      return code || 1;
    }
    const failed = files.filter((file) => file.failed.length > 0);
    const byChance = failed.length > 0 && failed.length <= FILES_TRIED_AGAIN && unhandled === 0;
    if (process.env.CI === undefined || !byChance) return summarise(files, code);
    const names = failed.map(({ file }) => file);
    console.log(`failed, and tried once more by themselves: ${names.join(' ')}`);
    const options = args.filter((arg) => arg.startsWith('-'));
    const again = await once(join(folder, 'again.json'), [...options, '--maxWorkers=1', ...names]);
    if (again.files === undefined) return summarise(files, code);
    return summarise(merge(files, again.files), again.code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a file came to at last; what had failed in it and passes now is unsteady. */
function merge(files, again) {
  return files.map((first) => {
    const last = again.find(({ file }) => file === first.file);
    if (last === undefined) return first;
    const fails = new Set(last.failed.map(({ name }) => name));
    return { ...last, unsteady: [...last.unsteady, ...first.failed.filter(({ name }) => !fails.has(name))] };
  });
}

function summarise(files, code) {
  const all = (field) => files.flatMap((file) => file[field]);
  for (const { name, reason } of all('skipped')) console.log(`skipped: ${name}: ${reason}`);
  for (const { name, reason } of all('unsteady')) {
    console.log(`passed only when tried again: ${name}: ${reason.split('\n')[0]}`);
  }
  const passed = files.reduce((sum, file) => sum + file.passed, 0);
  const failed = all('failed').length;
  const more = all('skipped').length > 0 ? `, ${all('skipped').length} skipped` : '';
  // What vitest holds against the run as a whole (an unhandled error) counts as one failure.
  console.log(`${passed} passed, ${failed === 0 && code !== 0 ? 1 : failed} failed${more}`);
  return code;
}
