import type { LocalActivities } from '../../contracts/ports/local-activities.ts';
import type { RunnerReport } from '../../contracts/workflows/runner.ts';
import type { Signaller } from './signaller.ts';

/**
 * The local activities. They get a signaller and no client, bus or forge, so that none of them can wait for what may take long.
 *
 * @param trace records the runner's trace in memory, where tracing is on; the same runner twice counts once
 */
export function createLocalActivities(signaller: Signaller, trace?: (report: RunnerReport) => void): LocalActivities {
  return {
    async reportLeaving({ group, runner, failed }) {
      await signaller.signalDispatcher(group, [{ type: 'leaving', runner, failed }]);
    },

    async reportGone(report) {
      const { group, outcome, use } = report;
      const signalled = await signaller.signalDispatcher(group, [{ type: 'gone', outcome, use }]);
      trace?.(report);
      return signalled ? 'signalled' : 'missing';
    },

    async signalDemand({ group, job }) {
      await signaller.signalDispatcher(group, [{ type: 'job', job }]);
    },

    signalProxies: ({ proxies, events }) => signaller.signalProxies(proxies, events),
  };
}
