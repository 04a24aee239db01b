import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createLocalActivities } from '../../../../activities/signals/local-activities.ts';
import { createSignaller, type SignalClient } from '../../../../activities/signals/signaller.ts';
import type { LocalActivities } from '../../../../contracts/ports/local-activities.ts';
import { aJob } from '../../../support/a-job.ts';
import { sourceFiles } from '../../house/source-files.ts';

/** A client that takes signals only, and notes them. */
function createSignalsOnlyClient(calls: string[]): SignalClient {
  return {
    workflow: {
      getHandle: () => ({
        signal: (name) => {
          calls.push(`signal ${name}`);
          return Promise.resolve();
        },
      }),
      signalWithStart: (_type, { signal }) => {
        calls.push(`signalWithStart ${JSON.stringify(signal)}`);
        return Promise.resolve();
      },
    },
  };
}

const proxies = {
  group: 'team',
  scope: { organization: 'acme' },
  names: ['proxy-a'],
  labels: ['team'],
  asOf: '2026-11-28T12:00:00.000Z',
};
const outcome = { runner: 'one', reason: 'retired', ranJob: false, failed: false, detail: 'retired' } as const;

/** One call of each: a new local activity needs one here, too. */
const CALLS: Record<keyof LocalActivities, (local: LocalActivities) => Promise<unknown>> = {
  reportGone: (local) => local.reportGone({ group: 'team', outcome, life: { backend: 'local', phases: [], until: 0 } }),
  reportLeaving: (local) => local.reportLeaving({ group: 'team', runner: 'one', failed: false }),
  signalDemand: (local) => local.signalDemand({ group: 'team', job: aJob('queued', 1) }),
  signalProxies: (local) => local.signalProxies({ proxies, events: [{ type: 'hold', delegation: 'd' }] }),
};

describe('local activities', () => {
  it.each(Object.entries(CALLS))('%s sends one signal and asks Temporal for nothing else', async (_name, call) => {
    const calls: string[] = [];
    await call(createLocalActivities(createSignaller(createSignalsOnlyClient(calls))));
    expect(calls).toHaveLength(1);
  });

  it('are exactly those that are tested here', () => {
    const local = createLocalActivities(createSignaller(createSignalsOnlyClient([])));
    expect(Object.keys(local).toSorted()).toEqual(Object.keys(CALLS).toSorted());
  });

  it('are made by one file, from the list of local activities', () => {
    const makers = sourceFiles(/^workflows\/.*\.ts$/).filter(({ text }) =>
      /proxyLocalActivities|scheduleLocal/.test(text),
    );
    expect(makers.map(({ path }) => path)).toEqual(['workflows/lib/local-activities.ts']);
    expect(makers[0]?.text).toContain('proxyLocalActivities<LocalActivities>(');
  });

  it('can reach nothing but a signaller', () => {
    const source = readFileSync(new URL('../../../../activities/signals/local-activities.ts', import.meta.url), 'utf8');
    const imports = [...source.matchAll(/^import (type )?.* from '(.*)';$/gm)].map(([, type, from]) => [type, from]);
    expect(imports).toEqual([
      ['type ', '../../contracts/ports/local-activities.ts'],
      ['type ', '../../contracts/workflows/runner.ts'],
      ['type ', './signaller.ts'],
    ]);
  });
});
