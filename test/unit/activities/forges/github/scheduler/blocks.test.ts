import { describe, expect, it } from 'vitest';
import {
  applyOutcome,
  claimProbe,
  describeBlock,
  findBlock,
  releaseProbe,
  toBlockKeys,
  type Blocks,
  type CallOutcome,
} from '../../../../../../activities/forges/github/scheduler/blocks.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const REGISTRATION = toBlockKeys({ priority: 'registration' }, 'installation core');
const REMOVAL = toBlockKeys({ priority: 'removal' }, 'installation core');

const limited = (kind: 'primary' | 'secondary', until?: number): CallOutcome => ({
  kind: 'limited',
  limit: { kind, until },
});
const after = (blocks: Blocks, outcome: CallOutcome, sentAt: number, now = sentAt + 100, keys = REGISTRATION): Blocks =>
  applyOutcome(blocks, keys, outcome, { sentAt, now, isOutage: true });
const waitOf = (blocks: Blocks, now: number, keys = REGISTRATION): number | undefined =>
  findBlock(blocks, keys, now)?.waitMs;

describe('a limit that was reached', () => {
  it('blocks every call until the time that its answer names', () => {
    const blocks = after({}, limited('secondary', NOW + 30_000), NOW);
    expect(waitOf(blocks, NOW + 100)).toBe(29_900);
    expect(waitOf(blocks, NOW + 100, REMOVAL)).toBe(29_900);
  });

  it('doubles the wait from a minute to 15 minutes, where its answers name no time and it comes in a row', () => {
    let blocks: Blocks = {};
    let at = NOW;
    const waits: number[] = [];
    for (let row = 0; row < 6; row++) {
      blocks = after(blocks, limited('secondary'), at, at);
      waits.push(waitOf(blocks, at) ?? 0);
      at += waits.at(-1) ?? 0;
    }
    expect(waits.map((wait) => wait / 60_000)).toEqual([1, 2, 4, 8, 15, 15]);
  });

  it('is counted once for all calls that were under way when it came', () => {
    let blocks = after({}, limited('secondary'), NOW, NOW + 100);
    for (let call = 0; call < 30; call++) blocks = after(blocks, limited('secondary'), NOW + call, NOW + 200 + call);
    expect(waitOf(blocks, NOW + 100)).toBe(60_000);
    // An answer that was already under way doesn't end it either.
    blocks = after(blocks, { kind: 'answered' }, NOW, NOW + 500);
    expect(waitOf(blocks, NOW + 500)).toBe(59_600);
  });

  it('lets one call try when it is over, and all others once that call was answered', () => {
    let blocks = after({}, limited('secondary'), NOW, NOW);
    const over = NOW + 60_000;
    expect(waitOf(blocks, over)).toBe(0);
    blocks = claimProbe(blocks, REGISTRATION, 35_000, over);
    expect(waitOf(blocks, over + 1)).toBeGreaterThan(0);
    expect(waitOf(releaseProbe(blocks, REGISTRATION, over), over + 1)).toBe(0);
    // It is lost with its process: another one may try.
    expect(waitOf(blocks, over + 35_000)).toBe(0);
    expect(after(blocks, { kind: 'answered' }, over)).toEqual({});
    expect(waitOf(after(blocks, limited('secondary'), over, over + 100), over + 100)).toBe(120_000);
  });

  it('blocks only calls that count against its resource, where it is the primary one', () => {
    const blocks = after({}, limited('primary', NOW + 900_000), NOW);
    expect(waitOf(blocks, NOW)).toBe(900_000);
    const other = toBlockKeys({ priority: 'registration' }, 'installation actions_runner_registration');
    expect(waitOf(blocks, NOW, other)).toBeUndefined();
  });

  it('is asked about ever more slowly, where the forge’s clock says that it is over and its answers say that it isn’t', () => {
    let blocks = after({}, limited('primary', NOW - 5000), NOW, NOW);
    expect(waitOf(blocks, NOW)).toBe(1000);
    blocks = after(blocks, limited('primary', NOW - 5000), NOW + 1000, NOW + 1000);
    expect(waitOf(blocks, NOW + 1000)).toBe(2000);
  });
});

describe('an outage', () => {
  it('backs off from 2 to 30 seconds, for calls of that priority only, and ends with the first answer', () => {
    let blocks: Blocks = {};
    let at = NOW;
    const waits: number[] = [];
    for (let row = 0; row < 6; row++) {
      blocks = after(blocks, { kind: 'failed' }, at, at);
      waits.push(waitOf(blocks, at) ?? 0);
      at += waits.at(-1) ?? 0;
    }
    expect(waits.map((wait) => wait / 1000)).toEqual([2, 4, 8, 16, 30, 30]);
    expect(waitOf(blocks, at - 1, REMOVAL)).toBeUndefined();
    // A missing permission is an answer too, and so is a limit.
    expect(waitOf(after(blocks, { kind: 'answered' }, at), at)).toBeUndefined();
    expect(Object.keys(after(blocks, limited('secondary'), at))).toEqual(['secondary']);
  });

  it('does not begin with a single failure', () => {
    const once = applyOutcome({}, REGISTRATION, { kind: 'failed' }, { sentAt: NOW, now: NOW, isOutage: false });
    expect(once).toEqual({});
  });

  it('lets another call try where the one that tried was given up', () => {
    let blocks = after({}, { kind: 'failed' }, NOW, NOW);
    blocks = claimProbe(blocks, REGISTRATION, 35_000, NOW + 2000);
    expect(waitOf(after(blocks, { kind: 'withdrawn' }, NOW + 2000), NOW + 2100)).toBe(0);
  });

  it('is said in one clause, like a limit', () => {
    const [outage] = Object.values(after({}, { kind: 'failed' }, NOW, NOW));
    const [limit] = Object.values(after({}, limited('secondary', NOW + 224_000), NOW));
    expect([outage, limit].flatMap((block) => (block === undefined ? [] : describeBlock(block)))).toEqual([
      'GitHub does not answer since 12:00:00Z',
      'GitHub’s secondary rate limit until 12:03:44Z',
    ]);
  });
});
