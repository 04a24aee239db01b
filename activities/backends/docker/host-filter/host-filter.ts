import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { BatonError, getErrorMessage } from '../../../../contracts/errors.ts';
import type { Logger } from '../../../../contracts/lib/log.ts';
import type { FilterObserver } from '../../../../contracts/ports/backend.ts';
import { rejectOnAbort } from '../../../lib/abort.ts';
import { checkFilter, type FilterResult } from './check.ts';
import { toFilterNames } from './rules.ts';

/** How often the rules are made and probed again while the worker runs: a firewall's reload takes them away. */
const CHECK_INTERVAL_MS = 60_000;
/** An instance is created only where the last successful check is more recent. */
const VALID_MS = 2 * CHECK_INTERVAL_MS;
const CHECK_TIMEOUT_MS = 120_000;
/** Failures in a row after which a worker that has just started refuses to run. */
const MAX_FIRST_FAILURES = 3;
const RETRY_MS = 2000;
/** How long a worker that stops waits for the check that is under way. */
const FINISH_MS = 10_000;

export interface HostFilterOptions {
  docker: Docker;
  installation: string;
  /** IPv4 prefix of all runners' networks. */
  networkPool: string;
  /** Resolves with the name of an image that the engine has, with Node 24 and iptables in it. */
  image: (abort: AbortSignal) => Promise<string>;
  /** `host:port` that instances may reach even if it is on the engine's machine. */
  allowed: readonly string[];
  observe?: FilterObserver | undefined;
  log: Logger;
}

/**
 * The packet filter between runners' containers and the engine's machine: they reach neither its ports nor a metadata service.
 * A container with the machine's network makes it, so that it works for a remote engine and for a worker that is in a container
 * itself; a second one, on a network like a runner's, proves it.
 */
export class HostFilter {
  /** Of the names of all bridges that are filtered. At most seven characters: an interface's name has 15. */
  readonly bridgePrefix: string;
  readonly #options: HostFilterOptions;
  readonly #key: string;
  #verifiedAt = -Infinity;
  /** Changes when a check that is under way proves nothing any more. */
  #generation = 0;
  #hasHeld = false;
  #running: Promise<void> | undefined;
  #wake = new AbortController();

  constructor(options: HostFilterOptions) {
    this.#options = options;
    const parts = [options.installation, options.networkPool, [...options.allowed].sort()];
    this.#key = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 5);
    this.bridgePrefix = toFilterNames(this.#key).bridgePrefix;
  }

  /**
   * Resolves if the filter has been verified lately, and otherwise makes and verifies it.
   *
   * @throws BatonError HOST_FILTER_FAILED when it can't be made or doesn't hold; BACKEND_UNAVAILABLE; IMAGE_PULLING
   */
  async ensure(abort: AbortSignal): Promise<void> {
    if (performance.now() - this.#verifiedAt < VALID_MS) return;
    await Promise.race([this.#check(), rejectOnAbort(abort)]);
  }

  /** Requires a new check before the next instance: an engine that has restarted may have lost the rules. */
  invalidate(): void {
    this.#verifiedAt = -Infinity;
    this.#generation++;
    this.#wake.abort();
  }

  /**
   * Checks at once and then every minute. Ends when `abort` fires.
   *
   * @throws BatonError HOST_FILTER_FAILED when the first checks fail
   */
  async watch(abort: AbortSignal): Promise<void> {
    for (let failures = 0; !abort.aborted;) {
      this.#wake = new AbortController();
      // Ended with each check, so that none waits for the end of the worker.
      const waiting = new AbortController();
      try {
        await Promise.race([this.#check(), rejectOnAbort(AbortSignal.any([abort, waiting.signal]))]);
        failures = 0;
      } catch (error) {
        if (abort.aborted) break;
        const isFailure = error instanceof BatonError && error.code === 'HOST_FILTER_FAILED';
        if (isFailure) failures++;
        if (!this.#hasHeld && failures >= MAX_FIRST_FAILURES) throw error;
      } finally {
        waiting.abort();
      }
      const wake = AbortSignal.any([abort, this.#wake.signal]);
      await sleep(failures > 0 ? RETRY_MS * failures : CHECK_INTERVAL_MS, undefined, { signal: wake }).catch(
        () => undefined,
      );
    }
    // So that it leaves nothing behind on the engine.
    const finished = this.#running?.catch(() => undefined);
    await Promise.race([finished, sleep(FINISH_MS, undefined, { ref: false })]);
  }

  /** Those who ask at the same time share one check. */
  #check(): Promise<void> {
    this.#running ??= this.#runCheck().finally(() => (this.#running = undefined));
    return this.#running;
  }

  async #runCheck(): Promise<void> {
    const { log, observe } = this.#options;
    const begun = performance.now();
    const generation = this.#generation;
    try {
      const result = await this.#verify(AbortSignal.timeout(CHECK_TIMEOUT_MS));
      if (generation === this.#generation) this.#verifiedAt = begun;
      observe?.checked(result.wasMissing && this.#hasHeld ? 'restored' : 'ok', result.dropped);
      this.#hasHeld = true;
      if (result.wasMissing) log.info({ bridges: `${this.bridgePrefix}*` }, 'packet filter of the host made');
      if (result.unresolved.length > 0) log.debug({ hosts: result.unresolved }, 'no address for these hosts');
    } catch (error) {
      this.#verifiedAt = -Infinity;
      observe?.checked('failed', 0);
      log.error({ reason: getErrorMessage(error) }, 'the host’s packet filter is not verified: no instance is created');
      throw error;
    }
  }

  async #verify(abort: AbortSignal): Promise<FilterResult> {
    const { docker, installation, networkPool, allowed } = this.#options;
    try {
      const image = await this.#options.image(abort);
      const id = `${this.#key}-${randomUUID().slice(0, 8)}`;
      return await checkFilter(docker, { installation, key: this.#key, id, image, pool: networkPool, allowed }, abort);
    } catch (error) {
      if (abort.aborted) {
        throw new BatonError(
          'BACKEND_UNAVAILABLE',
          'checking the packet filter of the host: no end within two minutes',
        );
      }
      const code = error instanceof BatonError ? error.code : undefined;
      if (code === 'HOST_FILTER_FAILED' || code === 'BACKEND_UNAVAILABLE' || code === 'IMAGE_PULLING') throw error;
      const message = `making the packet filter of the host: ${getErrorMessage(error)}`;
      throw new BatonError('HOST_FILTER_FAILED', message, { cause: error });
    }
  }
}
