import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    include: ['test/**/*.test.ts'],
    // Kills everything in turn, for ten minutes: `npm run test:crash`.
    exclude: process.env['BATON_CRASH'] === undefined ? ['test/e2e/crash.test.ts'] : [],
    environment: 'node',
    pool: 'forks',
    // Where a whole change hangs on one run, a test that fails is tried once more, and named at the end if it passes then.
    retry: process.env['CI'] === undefined ? 0 : 1,
    // A second by default: on a busy machine a process takes longer than that to start.
    expect: { poll: { timeout: 60_000, interval: 50 } },
    testTimeout: 120_000,
    hookTimeout: 300_000,
    // Real servers on two cores: more files at once only make each slower.
    maxWorkers: 2,
  },
});
