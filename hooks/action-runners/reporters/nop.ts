import type { Reporter } from '../manager/report.ts';

/** Tells nobody: for ActionRunners that aren't built in, whose exit code and log are enough. */
export const nopReporter: Reporter = {
  name: 'nop',
  report: () => Promise.resolve(),
};
