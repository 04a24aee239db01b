import { describe, expect, it } from 'vitest';
import type { DispatcherSnapshot } from '../../../contracts/workflows/dispatcher.ts';
import { renderDispatcherDetails } from '../../../workflows/dispatcher/details.ts';
import { escapeMarkdown } from '../../../workflows/lib/markdown.ts';
import { renderRunnerDetails, type Situation } from '../../../workflows/runner/details.ts';
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

describe('the details of a runner', () => {
  it('show both timers until a job starts, one while it runs, and none after its end', () => {
    const before = renderRunnerDetails(input, new Facts(), situation);
    expect(before).toContain('| **Time to start:** | 10m, until 2026-01-02 03:14:05 UTC |');
    expect(before).toContain('| **Time to live:** | 12h, until 2026-01-02 15:04:05 UTC |');
    const facts = new Facts();
    facts.started = true;
    expect(renderRunnerDetails(input, facts, { ...situation, phase: 'busy' })).not.toContain('Time to start');
    expect(renderRunnerDetails(input, facts, { ...situation, phase: 'gone' })).not.toContain('Time to');
  });

  it('escape names and times that come from a job', () => {
    const facts = new Facts();
    facts.hookJob = hookJob;
    facts.log.push({ at: '`| <b>not a time', what: 'agent: online on [x](http://y)' });
    const text = renderRunnerDetails(input, facts, situation);
    expect(text).toContain(String.raw`| **Job:** | CI / a\|b |`);
    expect(text).toContain(String.raw`agent: online on \[x\](http://y)`);
    expect(text).not.toContain('<b>');
  });

  it('show once that the cloud reclaims the instance, and when', () => {
    const facts = new Facts();
    const base = { version: 1, id: '1', runner: 'ci-linux-12345678', at: '2026-11-21T12:01:44Z' } as const;
    const signal = { ...base, kind: 'interrupted', action: 'terminate', deadline: '2026-11-21T12:03:44Z' } as const;
    expect(facts.apply([{ type: 'signal', signal }])).toBe(true);
    expect(facts.apply([{ type: 'signal', signal }])).toBe(false);
    expect(new Facts(facts.toState()).interrupted).toEqual({ action: 'terminate', deadline: '2026-11-21T12:03:44Z' });
    const text = renderRunnerDetails(input, facts, situation);
    expect(text).toContain('agent: the cloud reclaims the instance at 12:03:44Z');
  });

  it('escape markdown after cutting a text to its maximum length', () => {
    expect(escapeMarkdown('a_b *c* <i>\n &lt; $x$')).toBe(String.raw`a\_b \*c\* \<i\> \&lt; \$x\$`);
    expect(escapeMarkdown('_'.repeat(400))).toBe(String.raw`\_`.repeat(300));
  });

  it('end with an empty paragraph, because the UI cuts off the end', () => {
    expect(renderRunnerDetails(input, new Facts(), situation)).toMatch(/\|\n\n\u00A0$/);
  });
});

const snapshot: DispatcherSnapshot = {
  settings,
  mode: 'active',
  removed: false,
  waiting: 2,
  passedOver: null,
  busy: 4,
  ready: 0,
  leaving: 0,
  oldestWaitingSince: '2026-01-02T03:04:05.678Z',
  backoffUntil: null,
  pace: null,
  wantedSlots: 0,
};

describe('the details of a dispatcher', () => {
  it('show the group’s mode, its removal, and the slots that it waits for', () => {
    expect(renderDispatcherDetails(snapshot)).not.toContain('State');
    expect(renderDispatcherDetails({ ...snapshot, mode: 'paused' })).toContain(
      '| **State:** | paused: no runners are started |',
    );
    expect(renderDispatcherDetails({ ...snapshot, mode: 'draining' })).toContain('draining: 4 runners left');
    expect(renderDispatcherDetails({ ...snapshot, removed: true })).toContain(
      'removed from the configuration, draining: 4',
    );
    const capped = { ...snapshot, settings: { ...settings, backendMax: 6 }, wantedSlots: 2 };
    expect(renderDispatcherDetails(capped)).toContain('docker, at most 6 instances of all groups, priority 3');
    expect(renderDispatcherDetails(capped)).toContain('2 wanted, all slots of [docker](');
  });

  it('show how many runners the forge’s limits hold back, and until when', () => {
    const pace = {
      heldBack: 380,
      until: '2026-01-02T03:04:05.678Z',
      perMinute: 180,
      reason: 'GitHub lets 180 a minute register',
    };
    expect(renderDispatcherDetails({ ...snapshot, busy: 100, ready: 20, pace })).toContain(
      '| **Starts:** | 120 of 500 started; GitHub lets 180 a minute register; the next at 2026-01-02 03:04:05 UTC |',
    );
  });

  it('show how many jobs wait, and since when the oldest does', () => {
    const text = renderDispatcherDetails(snapshot);
    expect(text).toContain('### 2 waiting · 4 busy · 0 ready');
    expect(text).toContain('| at most 4, at least 1 idle · [show all](namespaces/{namespace}/workflows?query=');
    expect(text).toContain('| **Oldest job waits since:** | 2026-01-02 03:04:05 UTC |');
    expect(text).not.toContain('held back');
  });
});
