import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** A test and what is to be said of it. */
interface Named {
  name: string;
  reason: string;
}

/** What one test file came to. */
interface FileSummary {
  file: string;
  passed: number;
  failed: Named[];
  skipped: Named[];
  /** Failed at first, and passed when tried again: each is a defect of the test or of the code. */
  unsteady: Named[];
}

/**
 * A vitest reporter for deploy/launcher/tests.mjs: writes the counts, and what was skipped for which reason (vitest's own JSON leaves
 * the reasons out), to the file that BATON_TEST_REPORT names. A test says why: `context.skip(condition, 'reason')`.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const file = process.env['BATON_TEST_REPORT'];
    if (file === undefined) return;
    writeFileSync(file, JSON.stringify({ files: modules.map(summaryOf), unhandled: unhandled.length }));
  }
}

function summaryOf(module: TestModule): FileSummary {
  const file = module.relativeModuleId;
  const summary: FileSummary = { file, passed: 0, failed: [], skipped: [], unsteady: [] };
  // A file that could not be loaded, or whose hooks failed, has no test that says so.
  for (const error of module.errors()) summary.failed.push({ name: file, reason: error.message });
  for (const suite of module.children.allSuites()) {
    const [error] = suite.errors();
    if (error !== undefined) summary.failed.push({ name: `${file} > ${suite.fullName}`, reason: error.message });
  }
  for (const test of module.children.allTests()) {
    const result = test.result();
    const name = `${file} > ${test.fullName}`;
    // What a try that failed said stays with a test that passed in the end.
    const said = result.errors?.[0]?.message ?? '';
    if (result.state === 'passed') {
      summary.passed++;
      if (test.diagnostic()?.flaky) summary.unsteady.push({ name, reason: said });
    } else if (result.state === 'failed') summary.failed.push({ name, reason: said });
    else {
      const reason = result.state === 'skipped' ? result.note : undefined;
      const none = result.state === 'pending' ? 'it never ran to its end' : 'no reason is given';
      summary.skipped.push({ name, reason: reason ?? none });
    }
  }
  return summary;
}
