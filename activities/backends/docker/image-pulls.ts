import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { formatDuration } from '../../../contracts/format.ts';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { PullObserver } from '../../../contracts/ports/backend.ts';
import { callEngineExpecting } from './engine.ts';
import { PullProgress } from './pull-progress.ts';

/** An engine downloads three layers at a time, whatever the number of pulls. */
const MAX_CONCURRENT_PULLS = 3;
/** A pull whose layers make no progress for so long gives its turn to the next; the engine keeps the layers that are complete. */
const IDLE_TIMEOUT_MS = 120_000;
const PULL_TIMEOUT_MS = 3_600_000;
/** For so long, who asks for an image gets the error of its last pull and begins no new one. */
const FAILURE_LASTS_MS = 5000;
/** Whoever needs the image asks again after a quarter of the time that the pull has taken so far, within these limits. */
const ASK_AGAIN_MS = { first: 1000, max: 5000 };
const LOG_INTERVAL_MS = 30_000;

interface Pull {
  reference: string;
  state: 'waiting' | 'running' | 'failed';
  since: number;
  progress: PullProgress;
  /** Set once it has failed. */
  problem?: unknown;
}

export interface ImagePullsOptions {
  docker: Docker;
  observe?: PullObserver | undefined;
  log: Logger;
}

/**
 * The pulls of one engine: one per image, few at once, the others in the order in which they were requested. Nobody waits for a pull:
 * who needs the image is told to ask again, so that a slow registry takes no activity's slot. A pull goes on when those who need it
 * give up: the next runner needs the image too.
 */
export class ImagePulls {
  readonly #options: ImagePullsOptions;
  /** By reference, in the order of requests; those that failed stay for a moment. */
  readonly #pulls = new Map<string, Pull>();

  constructor(options: ImagePullsOptions) {
    this.#options = options;
  }

  /**
   * Resolves if the engine has the image, and otherwise requests its pull.
   *
   * @throws BatonError IMAGE_PULLING while it is pulled, with the time after which to ask again; IMAGE_MISSING when the pull failed
   */
  async ensure(image: string, abort: AbortSignal): Promise<void> {
    const found = await callEngineExpecting(`looking for image ${image}`, abort, [404], () =>
      this.#options.docker.getImage(image).inspect(),
    );
    if (found !== 404) return;
    // Without a tag the engine would pull all tags.
    const reference = /[:@][^/]+$/.test(image) ? image : `${image}:latest`;
    const pull = this.#pulls.get(reference) ?? this.#request(reference);
    if (pull.state === 'failed') {
      const message = `pulling image ${image}, which the engine does not have: ${getErrorMessage(pull.problem).trim()}`;
      throw new BatonError('IMAGE_MISSING', message, { cause: pull.problem });
    }
    const elapsed = Date.now() - pull.since;
    const state = pull.state === 'waiting' ? 'waits for other pulls' : String(pull.progress);
    throw new BatonError('IMAGE_PULLING', `pulling image ${image}: ${state}, ${formatDuration(elapsed)} so far`, {
      details: { retryAfterMs: Math.min(Math.max(elapsed / 4, ASK_AGAIN_MS.first), ASK_AGAIN_MS.max) },
    });
  }

  #request(reference: string): Pull {
    const pull: Pull = { reference, state: 'waiting', since: Date.now(), progress: new PullProgress() };
    this.#pulls.set(reference, pull);
    this.#startNext();
    return pull;
  }

  #startNext(): void {
    const all = [...this.#pulls.values()];
    const next = all.find(({ state }) => state === 'waiting');
    if (next !== undefined && this.#count('running') < MAX_CONCURRENT_PULLS) {
      next.state = 'running';
      void this.#run(next);
    }
    this.#options.observe?.counted({ running: this.#count('running'), waiting: this.#count('waiting') });
  }

  #count(wanted: Pull['state']): number {
    return [...this.#pulls.values()].filter(({ state }) => state === wanted).length;
  }

  /** Never rejects: the outcome is the pull's state. */
  async #run(pull: Pull): Promise<void> {
    const { log, observe } = this.#options;
    const { reference: image, progress } = pull;
    const begun = Date.now();
    const report = setInterval(() => log.info({ image, progress: String(progress) }, 'pulling image'), LOG_INTERVAL_MS);
    log.info({ image }, 'pulling an image');
    try {
      await this.#pull(pull);
      this.#pulls.delete(image);
      log.info({ image, seconds: (Date.now() - begun) / 1000 }, 'image pulled');
      observe?.ended('ok', (Date.now() - begun) / 1000);
    } catch (error) {
      pull.state = 'failed';
      pull.problem = error;
      setTimeout(() => this.#pulls.delete(image), FAILURE_LASTS_MS).unref();
      log.warn({ image, progress: String(progress), reason: getErrorMessage(error) }, 'image not pulled');
      observe?.ended('failed', (Date.now() - begun) / 1000);
    } finally {
      clearInterval(report);
      this.#startNext();
    }
  }

  async #pull({ reference, progress }: Pull): Promise<void> {
    const { docker } = this.#options;
    const ending = new AbortController();
    const end = (what: string, ms: number): void =>
      ending.abort(new Error(`${what} for ${formatDuration(ms)}; the engine keeps the layers that are complete`));
    const idle = setTimeout(() => end('no progress', IDLE_TIMEOUT_MS), IDLE_TIMEOUT_MS);
    const whole = setTimeout(() => end('not complete', PULL_TIMEOUT_MS), PULL_TIMEOUT_MS);
    try {
      const stream = await docker.pull(reference, { abortSignal: ending.signal });
      await new Promise<void>((resolve, reject) => {
        ending.signal.addEventListener('abort', () => {
          // Explicitly: the signal has no effect once the answer has begun.
          if (stream instanceof Readable) stream.destroy();
          reject(ending.signal.reason);
        });
        docker.modem.followProgress(
          stream,
          (error: Error | null) => (error ? reject(error) : resolve()),
          (event: unknown) => {
            progress.apply(event);
            idle.refresh();
          },
        );
      });
    } catch (error) {
      ending.signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(idle);
      clearTimeout(whole);
    }
  }
}
