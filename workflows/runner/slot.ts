import { runnerFingerprint, type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import { toRunKey } from '../../contracts/workflows/job.ts';
import type { RunnerSlot } from '../../contracts/workflows/takeover.ts';
import type { Facts } from './facts.ts';

/** What a dispatcher that takes over has to count. @param fingerprint of its settings */
export function toRunnerSlot(
  { started, job, hookJob }: Facts,
  settings: GroupSettings,
  fingerprint: string,
  own: Pick<RunnerSlot, 'held' | 'since' | 'leaving'>,
): RunnerSlot {
  return {
    ...own,
    backend: settings.backend,
    busy: started,
    outdated: runnerFingerprint(settings) !== fingerprint,
    job: job?.key ?? null,
    run: hookJob === undefined ? null : toRunKey(hookJob.runId, hookJob.runAttempt),
  };
}
