import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

interface Summary {
  passed: number;
  failed: number;
  skipped: { name: string; reason: string }[];
  /** Failed at first, and passed when tried again: each is a defect of the test or of the code. */
  unsteady: { name: string; reason: string }[];
}

/**
 * A vitest reporter for deploy/run.mjs: writes the counts, and what was skipped for which reason (vitest's own JSON leaves
 * the reasons out), to the file that BATON_TEST_REPORT names. A test says why: `context.skip(condition, 'reason')`.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const file = process.env['BATON_TEST_REPORT'];
    if (file === undefined) return;
    const summary: Summary = { passed: 0, failed: 0, skipped: [], unsteady: [] };
    for (const module of modules) {
      // A file that could not be loaded, or whose hooks failed, has no test that says so.
      if (module.errors().length > 0) summary.failed++;
      for (const suite of module.children.allSuites()) if (suite.errors().length > 0) summary.failed++;
      for (const test of module.children.allTests()) {
        const result = test.result();
        const name = `${module.relativeModuleId} > ${test.fullName}`;
        if (result.state === 'passed') {
          summary.passed++;
          // What a try that failed said stays with a test that passed in the end.
          if (test.diagnostic()?.flaky) summary.unsteady.push({ name, reason: result.errors?.[0]?.message ?? '' });
        } else if (result.state === 'failed') summary.failed++;
        else {
          const reason = result.state === 'skipped' ? result.note : undefined;
          summary.skipped.push({
            name,
            reason: reason ?? (result.state === 'pending' ? 'it never ran to its end' : 'no reason is given'),
          });
        }
      }
    }
    writeFileSync(file, JSON.stringify(summary));
  }
}
