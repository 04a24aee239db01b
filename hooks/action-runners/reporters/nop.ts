import type { Reporter } from '../manager/report.ts';

/** Sends no reports: the default for an ActionRunner from a file, whose exit code and log are enough. */
export const nopReporter: Reporter = {
  name: 'nop',
  report: () => Promise.resolve(),
};
