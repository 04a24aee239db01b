import type { Priority } from './call.ts';
import type { ReachedLimit } from './limits.ts';

/** Why calls aren't sent for a while: the forge asked to wait, or it doesn't answer. */
export interface Block {
  kind: 'primary' | 'secondary' | 'outage';
  since: number;
  /** Until then nothing is sent; then one call tries, and the others wait for its answer. */
  until: number;
  /** How often in a row it came again: the waits double. */
  inARow: number;
  /** While that one call tries; 0: none does. */
  probeUntil: number;
}

/** Blocks by what they block: see {@link toBlockKeys}. All times are milliseconds since the epoch. */
export type Blocks = Readonly<Record<string, Block>>;

/** The keys of the blocks that can hold a call back. */
export type BlockKeys = Readonly<Record<Block['kind'], string>>;

/** What became of a call. `failed`: an answer of 5xx, or none. `withdrawn`: nobody waits for its answer any more. */
export type CallOutcome = { kind: 'answered' | 'failed' | 'withdrawn' } | { kind: 'limited'; limit: ReachedLimit };

/** A limit whose answer doesn't say how long it holds. Source: GitHub asks for a minute at least, then exponentially more. */
const LIMIT = { firstMs: 60_000, mostMs: 15 * 60_000 };
/** A limit that should have ended by the forge's clock, but hasn't by its answers. */
const STALE_LIMIT = { firstMs: 1000, mostMs: 60_000 };
const OUTAGE = { firstMs: 2000, mostMs: 30_000 };
/** So many calls in a row without an answer are an outage: single ones happen. */
export const OUTAGE_FAILURES = 3;
/** A waiting call looks again after this whether the one that tries got its answer. */
const PROBE_RECHECK_MS = 500;

/**
 * What can block a call: a secondary limit blocks all of the App's calls, a primary one those of its resource, an outage those of
 * one priority (an endpoint that always fails must not hold up the others).
 */
export function toBlockKeys(call: { priority: Priority }, resource: string): BlockKeys {
  return { secondary: 'secondary', primary: `primary ${resource}`, outage: `outage ${call.priority}` };
}

/** The block that holds a call back the longest, and for how long. A wait of 0: this call may try. */
export function findBlock(blocks: Blocks, keys: BlockKeys, now: number): { block: Block; waitMs: number } | undefined {
  return Object.values(keys)
    .flatMap((key) => blocks[key] ?? [])
    .map((block) => ({ block, waitMs: computeBlockWait(block, now) }))
    .sort((a, b) => b.waitMs - a.waitMs)[0];
}

/** Marks this call as the one that tries. */
export function claimProbe(blocks: Blocks, keys: BlockKeys, timeoutMs: number, now: number): Blocks {
  return update(blocks, keys, (block) => ({ ...block, probeUntil: now + timeoutMs }));
}

/** The call that was to try said nothing: another one may. */
export function releaseProbe(blocks: Blocks, keys: BlockKeys, sentAt: number): Blocks {
  return update(blocks, keys, (block) => (sentAt >= block.until ? { ...block, probeUntil: 0 } : block));
}

/**
 * The blocks after a call. Only calls sent after a block's end say something about it: those that were under way when it began
 * would end it at once, or double it many times over.
 *
 * @param isOutage whether a failure makes a block that isn't there yet
 */
export function applyOutcome(
  blocks: Blocks,
  keys: BlockKeys,
  outcome: CallOutcome,
  { sentAt, now, isOutage }: { sentAt: number; now: number; isOutage: boolean },
): Blocks {
  if (outcome.kind === 'failed' || outcome.kind === 'withdrawn') {
    const probed = releaseProbe(blocks, keys, sentAt);
    if (outcome.kind === 'withdrawn') return probed;
    return isOutage || probed[keys.outage] !== undefined ? set(probed, keys.outage, { sentAt, now }) : probed;
  }
  const reached = outcome.kind === 'limited' ? outcome.limit : undefined;
  const limited = reached === undefined ? undefined : keys[reached.kind];
  const isOver = ([key, block]: [string, Block]): boolean =>
    Object.values(keys).includes(key) && key !== limited && sentAt >= block.until;
  const left = Object.fromEntries(Object.entries(blocks).filter((entry) => !isOver(entry)));
  return reached === undefined || limited === undefined ? left : set(left, limited, { sentAt, now, reached });
}

function set(
  blocks: Blocks,
  key: string,
  { sentAt, now, reached }: { sentAt: number; now: number; reached?: ReachedLimit },
): Blocks {
  const before = blocks[key];
  const isNew = before === undefined || sentAt >= before.until;
  const inARow = isNew ? (before?.inARow ?? 0) + 1 : before.inARow;
  const wait = reached === undefined ? OUTAGE : reached.until === undefined ? LIMIT : STALE_LIMIT;
  const doubled = isNew ? now + Math.min(wait.mostMs, wait.firstMs * 2 ** (inARow - 1)) : before.until;
  const block: Block = {
    kind: reached?.kind ?? 'outage',
    since: before?.since ?? now,
    until: Math.max(doubled, reached?.until ?? 0, before?.until ?? 0),
    inARow,
    probeUntil: 0,
  };
  return { ...blocks, [key]: block };
}

function computeBlockWait({ until, probeUntil }: Block, now: number): number {
  if (until > now) return until - now;
  return probeUntil > now ? Math.min(probeUntil - now, PROBE_RECHECK_MS) : 0;
}

function update(blocks: Blocks, keys: BlockKeys, change: (block: Block) => Block): Blocks {
  const ours: readonly string[] = Object.values(keys);
  return Object.fromEntries(
    Object.entries(blocks).map(([key, block]) => [key, ours.includes(key) ? change(block) : block]),
  );
}

/** What blocks, one clause for people. */
export function describeBlock({ kind, since, until }: Block): string {
  if (kind === 'outage') return `GitHub does not answer since ${toClock(since)}`;
  return `GitHub’s ${kind} rate limit until ${toClock(until)}`;
}

/** `12:03:44Z` */
export function toClock(at: number): string {
  return `${new Date(at).toISOString().slice(11, 19)}Z`;
}
