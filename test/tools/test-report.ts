import { writeSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

const MAX_SLOW_FILES = 10;
const SLOW_FILE_MS = 1000;

interface Summary {
  lines: string[];
  passed: number;
  failed: number;
  skipped: number;
}

/**
 * A vitest reporter. When the run has ended it prints each skipped test with its reason (`context.skip(condition, 'reason')` or
 * `describeUnless`), the slowest files, the time of each lane, and as the very last line the counts: `N passed, N failed[, N skipped]`.
 */
export default class SummaryReporter implements Reporter {
  /** By name: when its last file ended. Lanes run one after the other. */
  readonly #lanes = new Map<string, number>();
  #startedAt = 0;
  #summary: Summary = { lines: ['the tests did not run to their end'], passed: 0, failed: 1, skipped: 0 };

  constructor() {
    // Vitest prints more after it has called its reporters.
    process.once('exit', (code) => this.#print(code));
  }

  onTestRunStart(): void {
    this.#startedAt = performance.now();
  }

  onTestModuleEnd(module: TestModule): void {
    this.#lanes.set(module.project.name, performance.now());
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const summary: Summary = { lines: [], passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) countTests(module, summary);
    summary.lines.push(...listSlowFiles(modules));
    let from = this.#startedAt;
    for (const [name, to] of this.#lanes) {
      summary.lines.push(`time of the lane ${name}: ${toSeconds(to - from)}`);
      from = to;
    }
    this.#summary = summary;
  }

  #print(code: number): void {
    const { lines, passed, failed, skipped } = this.#summary;
    // What vitest holds against the run as a whole (an unhandled error) counts as one failure.
    const counts = `${passed} passed, ${failed === 0 && code !== 0 ? 1 : failed} failed`;
    const output = [...lines, skipped > 0 ? `${counts}, ${skipped} skipped` : counts];
    writeSync(1, `${output.join('\n')}\n`);
  }
}

function countTests(module: TestModule, summary: Summary): void {
  const file = module.relativeModuleId;
  // A file that could not be loaded, or whose hooks failed, has no test that says so.
  summary.failed += module.errors().length;
  for (const suite of module.children.allSuites()) if (suite.errors().length > 0) summary.failed++;
  for (const test of module.children.allTests()) {
    const result = test.result();
    if (result.state === 'passed') summary.passed++;
    else if (result.state === 'failed') summary.failed++;
    else {
      const note = result.state === 'pending' ? 'it did not run to its end' : (result.note ?? test.meta().skipReason);
      summary.skipped++;
      summary.lines.push(`skipped: ${file} > ${test.fullName}: ${note ?? 'no reason is given'}`);
    }
  }
}

/** The slowest files, each with its slowest test. */
function listSlowFiles(modules: readonly TestModule[]): string[] {
  const files = modules
    .map((module) => ({ module, duration: findDuration(module) }))
    .filter(({ duration }) => duration >= SLOW_FILE_MS)
    .sort((a, b) => b.duration - a.duration);
  if (files.length === 0) return [];
  const lines = files.slice(0, MAX_SLOW_FILES).map(({ module, duration }) => {
    const tests = [...module.children.allTests()].map((test) => ({
      name: test.fullName,
      duration: test.diagnostic()?.duration ?? 0,
    }));
    const [slowest] = tests.sort((a, b) => b.duration - a.duration);
    const most = slowest === undefined ? '' : `; ${toSeconds(slowest.duration)} of it: ${slowest.name}`;
    return `  ${toSeconds(duration).padStart(8)} ${module.relativeModuleId}${most}`;
  });
  return ['slowest files:', ...lines];
}

/** Of a whole file: its imports, its hooks and its tests. */
function findDuration(module: TestModule): number {
  const { setupDuration, collectDuration, duration } = module.diagnostic();
  return setupDuration + collectDuration + duration;
}

function toSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
