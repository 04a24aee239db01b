import { describe, expect, it } from 'vitest';
import type { LabelledProxy } from '../../../../contracts/ports/forge-activities.ts';
import type { ProxiesSettings } from '../../../../contracts/workflows/delegation.ts';
import { ProxyLabels } from '../../../../workflows/delegation/proxy-labels.ts';

const SETTINGS: ProxiesSettings = {
  group: 'team',
  scope: { organization: 'acme' },
  names: ['a', 'b'],
  labels: ['team'],
  asOf: '2026-11-28T12:00:00.000Z',
};

const labelled = (name: string): LabelledProxy => ({ name, result: 'labelled', problem: null, retryAfterMs: null });
const refused = (name: string, problem = '403'): LabelledProxy => ({
  name,
  result: 'refused',
  problem,
  retryAfterMs: null,
});
const failed = (name: string, retryAfterMs: number | null = null): LabelledProxy => ({
  name,
  result: 'failed',
  problem: '502',
  retryAfterMs,
});

/** The labels of proxies that are to step aside. */
function createAside(): ProxyLabels {
  const labels = new ProxyLabels(SETTINGS);
  labels.want('aside');
  return labels;
}

const listNames = (labels: ProxyLabels, now: number): string[] => labels.listDue(now).map(({ name }) => name);

describe('the labels of proxies', () => {
  it('need no call while no proxy has stepped aside', () => {
    expect(new ProxyLabels(SETTINGS).listDue(0)).toEqual([]);
  });

  it('a proxy that is refused is tried again ever more slowly, by itself and without end', () => {
    const labels = createAside();
    labels.apply([labelled('a'), refused('b')], 0);
    expect(labels.isDone).toBe(false);
    const waits: number[] = [];
    for (let now = 0; waits.length < 12;) {
      const next = labels.findNextTry();
      expect(listNames(labels, next - 1)).toEqual([]);
      expect(listNames(labels, next)).toEqual(['b']);
      waits.push(next - now);
      now = next;
      labels.apply([refused('b')], now);
    }
    expect(waits.slice(0, 4)).toEqual([1000, 2000, 4000, 8000]);
    expect(waits.at(-1)).toBe(600_000);
    expect(waits).toEqual(waits.toSorted((one, other) => one - other));
  });

  it('are tried again no sooner than the forge asks', () => {
    const labels = createAside();
    labels.apply([labelled('a'), failed('b', 90_000)], 0);
    expect(labels.findNextTry()).toBe(90_000);
  });

  it('a problem is new once, until it changes', () => {
    const labels = createAside();
    expect(labels.apply([labelled('a'), refused('b')], 0)).toMatchObject([{ name: 'b', problem: '403' }]);
    expect(labels.apply([refused('b')], 1000)).toEqual([]);
    expect(labels.apply([refused('b', '404')], 3000)).toMatchObject([{ name: 'b', problem: '404' }]);
  });

  it('a re-run waits for no refused proxy, and for few tries of one that the forge does not answer for', () => {
    const labels = createAside();
    expect(labels.isDecided).toBe(false);
    labels.apply([refused('a'), failed('b')], 0);
    expect(labels.isDecided).toBe(false);
    labels.apply([failed('b')], 1000);
    labels.apply([failed('b')], 3000);
    expect(labels.isDecided).toBe(true);
    expect(labels.isDone).toBe(false);
  });

  it('are put back at once when the last delegation has ended, however slowly they were tried before', () => {
    const labels = createAside();
    labels.apply([labelled('a'), labelled('b')], 0);
    labels.want('own');
    for (const now of [0, 1000, 3000]) labels.apply([refused('a'), refused('b')], now);
    labels.want('aside');
    expect(labels.listDue(3001)).toEqual([]);
    labels.recheck('a');
    expect(labels.listDue(3001)).toEqual([{ name: 'a', labels: ['stepped-aside'] }]);
    labels.want('own');
    expect(listNames(labels, 3001)).toEqual(['a', 'b']);
  });

  it('a proxy that is not registered has nothing to get', () => {
    const labels = createAside();
    const absent = { result: 'absent', problem: null, retryAfterMs: null } as const;
    labels.apply([labelled('a'), { name: 'b', ...absent }], 0);
    expect(labels.isDone).toBe(true);
  });

  it('newer settings apply: a proxy that is no longer named gets its own labels back, a new one steps aside', () => {
    const labels = createAside();
    labels.apply([labelled('a'), labelled('b')], 0);
    labels.configure({ names: ['b', 'c'], labels: ['newer'] });
    expect(labels.listDue(0)).toEqual([
      { name: 'a', labels: ['team'] },
      { name: 'c', labels: ['stepped-aside'] },
    ]);
    labels.apply([labelled('a'), labelled('c')], 0);
    labels.want('own');
    expect(labels.listDue(0)).toEqual([
      { name: 'b', labels: ['newer'] },
      { name: 'c', labels: ['newer'] },
    ]);
  });

  it('survive as JSON', () => {
    const labels = createAside();
    labels.apply([labelled('a'), refused('b')], 0);
    const again = new ProxyLabels(SETTINGS, JSON.parse(JSON.stringify(labels.toState())));
    expect(again.toState()).toEqual(labels.toState());
    expect(again.findNextTry()).toBe(1000);
  });
});
