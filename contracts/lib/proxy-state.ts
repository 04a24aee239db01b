import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const count = z.number().int().nonnegative().default(0);

/** What the hooks of one proxy leave for the next one, and for the proxy's metrics. */
const proxyState = z.object({
  version: z.literal(1).default(1),
  /** The circuit breaker's own, as its library writes it. */
  breaker: z.unknown().optional(),
  open: z.boolean().default(false),
  handedOver: count,
  /** Hooks that could not hand their job over. */
  failed: count,
  /** Requests without an answer. */
  connectionFailures: count,
  /** Hooks that did not even ask, because the breaker was open. */
  heldBack: count,
});

export type ProxyState = z.infer<typeof proxyState>;

const STALE_MS = 5000;
const AGAIN_MS = 20;

/** The state in that file; a file that is not there, or was half written by somebody else's tool, is a fresh one. */
export function readProxyState(file: string): ProxyState {
  try {
    return proxyState.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return proxyState.parse({});
  }
}

/**
 * Changes the state, alone: short processes that run side by side each see what the one before wrote. Whoever dies with the
 * lock holds others up for five seconds.
 */
export async function changeProxyState(
  file: string,
  change: (state: ProxyState) => ProxyState | Promise<ProxyState>,
): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  const lock = `${file}.lock`;
  while (!take(lock)) await sleep(AGAIN_MS);
  try {
    const next = await change(readProxyState(file));
    const half = `${file}.${process.pid}`;
    writeFileSync(half, JSON.stringify(next), { mode: 0o600 });
    renameSync(half, file);
  } finally {
    rmSync(lock, { force: true });
  }
}

function take(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    try {
      if (Date.now() - statSync(lock).mtimeMs > STALE_MS) rmSync(lock, { force: true });
    } catch {
      // Its holder has just let go.
    }
    return false;
  }
}
