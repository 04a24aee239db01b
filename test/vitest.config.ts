import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { SlowFilesFirst } from './tools/slow-files-first.ts';

/** Two lanes: `unit` needs no server and no process; only the other one gets the servers. */
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    environment: 'node',
    pool: 'forks',
    reporters: ['default', './test/tools/test-report.ts'],
    // A second by default: on a busy machine a process takes longer than that to start.
    expect: { poll: { timeout: 60_000, interval: 50 } },
    // Real servers on two cores: more files at once only make each slower.
    maxWorkers: 2,
    sequence: { sequencer: SlowFilesFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/fuzz/**/*.test.ts'],
          setupFiles: ['test/support/forbid-processes.ts'],
          // Milliseconds each, but many times that on a machine that is busy with something else.
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: ['test/{integration,contract,e2e}/**/*.test.ts'],
          globalSetup: ['test/support/acquire-servers.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
