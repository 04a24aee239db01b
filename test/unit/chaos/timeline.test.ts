import { describe, expect, it } from 'vitest';
import { formatTimeline, selectEntries, toEntries, type TimelineEntry } from '../../chaos/timeline.ts';

const at = (seconds: number): number => seconds * 1000;

const ENTRIES: TimelineEntry[] = [
  { at: at(100), source: 'job', text: 'started 1 a', jobId: 1, runner: 'a' },
  { at: at(90), source: 'fault', text: 'kill relay-1' },
  { at: at(10), source: 'fault', text: 'long before' },
  { at: at(101), source: 'instance', text: 'a is gone', runner: 'a' },
  { at: at(100), source: 'job', text: 'started 2 b', jobId: 2, runner: 'b' },
];

describe('the timeline of chaos', () => {
  it('shows a problem’s job and its runner, with the faults around them, in the order of time', () => {
    const chosen = selectEntries(ENTRIES, [{ rule: 'job ran once', text: 'job 1 failed', jobId: 1 }]);
    expect(formatTimeline(chosen, at(80)).split('\n')).toEqual([
      '   10.000 s  fault    kill relay-1',
      '   20.000 s  job      started 1 a',
      '   21.000 s  instance a is gone',
    ]);
  });

  it('shows all faults where a problem names neither a job nor a runner nor a time', () => {
    const chosen = selectEntries(ENTRIES, [{ rule: 'messages left', text: 'BATON_SIGNALS' }]);
    expect(chosen.map(({ text }) => text)).toEqual(['kill relay-1', 'long before']);
  });

  it('takes the simulator’s events, but not its calls', () => {
    const entries = toEntries([
      { seq: 1, at: '2026-11-28T12:00:00.000Z', type: 'api.call', status: 200 },
      { seq: 2, at: '2026-11-28T12:00:01.000Z', type: 'job.completed', jobId: 1, runner: 'a', conclusion: 'failure' },
    ]);
    expect(entries).toEqual([
      {
        at: Date.parse('2026-11-28T12:00:01Z'),
        source: 'job',
        text: 'completed 1 a conclusion=failure',
        jobId: 1,
        runner: 'a',
      },
    ]);
  });
});
