import { describe } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    /** Why the tests of a suite are skipped, for test/tools/test-report.ts. */
    skipReason?: string;
  }
}

/** `describe`, whose tests and hooks are skipped where there is a reason for it. The report of the run says it. */
export function describeUnless(reason: string | undefined, name: string, define: () => void): void {
  // oxlint-disable-next-line vitest/valid-title, vitest/valid-describe-callback -- both are the caller's
  describe(name, { skip: reason !== undefined, ...(reason && { meta: { skipReason: reason } }) }, define);
}
