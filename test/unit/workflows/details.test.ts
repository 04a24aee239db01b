import { describe, expect, it } from 'vitest';
import type { DispatcherSnapshot } from '../../../contracts/workflows/dispatcher.ts';
import { dispatcherDetails } from '../../../workflows/dispatcher/details.ts';
import { plain } from '../../../workflows/lib/markdown.ts';
import { runnerDetails, type Situation } from '../../../workflows/runner/details.ts';
import { Facts } from '../../../workflows/runner/facts.ts';
import { aGroup } from '../../support/a-group.ts';

const settings = aGroup('linux', {
  installation: 'ci',
  labels: ['linux', 'x64'],
  max: 4,
  min: 1,
  backend: 'docker',
  timeToStartMs: 600_000,
  timeToLiveMs: 43_200_000,
});
const input = { settings, runner: 'ci-linux-12345678' };
const situation: Situation = {
  phase: 'idle',
  note: undefined,
  instanceId: undefined,
  timeToStartEnds: new Date('2026-01-02T03:14:05.678Z'),
  timeToLiveEnds: new Date('2026-01-02T15:04:05.678Z'),
};
const hookJob = { repository: 'acme/hello', runId: 7, runAttempt: 1, workflow: 'CI', jobKey: 'a|b' };

describe('a runner’s details', () => {
  it('tell both timers until a job starts, one while it runs, none when it is over', () => {
    const before = runnerDetails(input, new Facts(), situation);
    expect(before).toContain('| **Time to start:** | 10m, until 2026-01-02 03:14:05 UTC |');
    expect(before).toContain('| **Time to live:** | 12h, until 2026-01-02 15:04:05 UTC |');
    const facts = new Facts();
    facts.started = true;
    expect(runnerDetails(input, facts, { ...situation, phase: 'busy' })).not.toContain('Time to start');
    expect(runnerDetails(input, facts, { ...situation, phase: 'gone' })).not.toContain('Time to');
  });

  it('show what comes from a job as text, be it names or times', () => {
    const facts = new Facts();
    facts.hookJob = hookJob;
    facts.heard.push({ at: '`| <b>not a time', what: 'agent: online on [x](http://y)' });
    const text = runnerDetails(input, facts, situation);
    expect(text).toContain(String.raw`| **Job:** | CI / a\|b |`);
    expect(text).toContain(String.raw`agent: online on \[x\](http://y)`);
    expect(text).not.toContain('<b>');
  });

  it('tell once that the cloud takes the instance back, and when', () => {
    const facts = new Facts();
    const base = { version: 1, id: '1', runner: 'ci-linux-12345678', at: '2026-11-21T12:01:44Z' } as const;
    const signal = { ...base, kind: 'interrupted', action: 'terminate', deadline: '2026-11-21T12:03:44Z' } as const;
    expect(facts.learn([{ type: 'signal', signal }])).toBe(true);
    expect(facts.learn([{ type: 'signal', signal }])).toBe(false);
    expect(new Facts(facts.toState()).interrupted).toEqual({ action: 'terminate', deadline: '2026-11-21T12:03:44Z' });
    const text = runnerDetails(input, facts, situation);
    expect(text).toContain('agent: the cloud takes its instance back at 12:03:44Z');
  });

  it('escape what markdown would take for its own, after cutting to length', () => {
    expect(plain('a_b *c* <i>\n &lt; $x$')).toBe(String.raw`a\_b \*c\* \<i\> \&lt; \$x\$`);
    expect(plain('_'.repeat(400))).toBe(String.raw`\_`.repeat(300));
  });

  it('end with what the UI cuts off', () => {
    expect(runnerDetails(input, new Facts(), situation)).toMatch(/\|\n\n\u00A0$/);
  });
});

const snapshot: DispatcherSnapshot = {
  settings,
  mode: 'active',
  removed: false,
  waiting: 2,
  busy: 4,
  ready: 0,
  oldestWaitingSince: '2026-01-02T03:04:05.678Z',
  backoffUntil: null,
  wantedSlots: 0,
};

describe('a dispatcher’s details', () => {
  it('a dispatcher’s details tell what a person wants of it, and for what it waits', () => {
    expect(dispatcherDetails(snapshot)).not.toContain('State');
    expect(dispatcherDetails({ ...snapshot, mode: 'paused' })).toContain(
      '| **State:** | paused: no runners are started |',
    );
    expect(dispatcherDetails({ ...snapshot, mode: 'draining' })).toContain('draining: 4 runners left');
    expect(dispatcherDetails({ ...snapshot, removed: true })).toContain('removed from the configuration, draining: 4');
    const capped = { ...snapshot, settings: { ...settings, backendMax: 6 }, wantedSlots: 2 };
    expect(dispatcherDetails(capped)).toContain('docker, 6 instances of all groups at most, priority 3');
    expect(dispatcherDetails(capped)).toContain('2 wanted, all of [docker](');
  });

  it('a dispatcher’s details tell what waits, and since when', () => {
    const text = dispatcherDetails(snapshot);
    expect(text).toContain('### 2 waiting · 4 busy · 0 ready');
    expect(text).toContain('| at most 4, 1 kept warm · [show all](namespaces/{namespace}/workflows?query=');
    expect(text).toContain('| **Oldest job waits since:** | 2026-01-02 03:04:05 UTC |');
    expect(text).not.toContain('held back');
  });
});
