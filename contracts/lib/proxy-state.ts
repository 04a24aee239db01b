import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { getErrorMessage } from '../errors.ts';
import { acquireLock, type Lock } from './file-lock.mjs';

const count = z.number().int().nonnegative().default(0);

/** What the hooks of a proxy store for the next hook and for the proxy's metrics. */
const proxyState = z.object({
  version: z.literal(1).default(1),
  /** The circuit breaker's state, as its library writes it. */
  breaker: z.unknown().optional(),
  open: z.boolean().default(false),
  handedOver: count,
  /** Hooks that could not hand their job over. */
  failed: count,
  /** Requests without an answer. */
  connectionFailures: count,
  /** Hooks that sent no request, because the breaker was open. */
  heldBack: count,
});

export type ProxyState = z.infer<typeof proxyState>;

/** A hook in another container that dies with the lock holds the others up for no longer than this. */
const STALE_LOCK_MS = 5000;
/** Longer than a lock that is stale is kept. */
const MAX_WAIT_MS = 10_000;

/** The state in that file; the initial state where the file does not exist or is invalid. */
export function readProxyState(file: string): ProxyState {
  try {
    return proxyState.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return proxyState.parse({});
  }
}

/**
 * Changes the state under a lock: short processes that run side by side each see what the one before wrote. Where the state can't be
 * written, on a full or read-only disk, or the lock is not free in time, nothing changes: it counts and protects, and no job waits
 * for it.
 *
 * @returns why nothing changed; undefined where it did
 */
export async function changeProxyState(
  file: string,
  change: (state: ProxyState) => ProxyState | Promise<ProxyState>,
): Promise<string | undefined> {
  let lock: Lock | undefined;
  const half = `${file}.${process.pid}`;
  try {
    lock = await acquireLock(`${file}.lock`, { staleMs: STALE_LOCK_MS, waitMs: MAX_WAIT_MS });
    if (lock === undefined) return `${file}.lock is held by another process`;
    const next = await change(readProxyState(file));
    writeFileSync(half, JSON.stringify(next), { mode: 0o600 });
    renameSync(half, file);
    return undefined;
  } catch (error) {
    rmSync(half, { force: true });
    return getErrorMessage(error);
  } finally {
    lock?.release();
  }
}
