import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { z } from 'zod';
import { backoff } from '../../../contracts/lib/backoff.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Instance } from '../../../contracts/ports/backend.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { ReportedDeaths, type DeathListener } from '../reported-deaths.ts';
import { inspectContainer, listContainers } from './answers.ts';
import { DOCKER_LABELS, toLabelFilter } from './engine.ts';
import { hasDied, inspectionToInstance, listingToInstance } from './instance.ts';

/** How often all containers are listed as well: a stream of events can stop without ending. */
const SWEEP_INTERVAL_MS = 60_000;
const RECONNECT_FIRST_MS = 250;
const RECONNECT_MAX_MS = 10_000;

const engineEvent = z.object({
  Action: z.string(),
  Actor: z.object({ ID: z.string(), Attributes: z.record(z.string(), z.string()) }),
  time: z.number(),
});

export interface DockerDeathWatchOptions extends DeathListener {
  docker: Docker;
  installation: string;
  /** Called each time that the engine answers again after its events had ended: it may have restarted. */
  onReconnected: () => void;
  log: Logger;
}

/** Listens to the engine's events about one installation's containers, and lists all of them after each (re)connect. */
export class DockerDeathWatch {
  readonly #options: DockerDeathWatchOptions;
  readonly #reported: ReportedDeaths;
  /** The instances that were running when last seen: one that is missing later was removed. */
  #alive = new Map<string, Instance>();

  constructor(options: DockerDeathWatchOptions) {
    this.#options = options;
    this.#reported = new ReportedDeaths(options);
  }

  /** Ends when `abort` fires. */
  async run(abort: AbortSignal): Promise<void> {
    let hasConnected = false;
    for (let failures = 0; !abort.aborted; failures++) {
      try {
        await this.#listen(abort, () => {
          failures = 0;
          if (hasConnected) this.#options.onReconnected();
          hasConnected = true;
        });
      } catch (error) {
        if (abort.aborted) return;
        this.#options.log.warn(
          { reason: getErrorMessage(error), failures },
          'the engine’s event stream ended; reconnecting',
        );
      }
      await backoff(failures, { firstMs: RECONNECT_FIRST_MS, maxMs: RECONNECT_MAX_MS, abort }).catch(() => undefined);
    }
  }

  async #listen(abort: AbortSignal, onConnected: () => void): Promise<void> {
    const { docker, installation } = this.#options;
    const ending = new AbortController();
    const either = AbortSignal.any([abort, ending.signal]);
    const stream = await docker.getEvents({
      filters: {
        type: ['container'],
        event: ['start', 'oom', 'die', 'destroy'],
        label: toLabelFilter(installation).label,
      },
      abortSignal: either,
    });
    // Destroyed explicitly: the signal has no effect once the answer has begun.
    const end = (): void => void (stream instanceof Readable && stream.destroy());
    either.addEventListener('abort', end);
    let sweeps: NodeJS.Timeout | undefined;
    try {
      // Listed only once the events have begun to arrive, so that no death is missed in between.
      await this.#sweep(abort);
      onConnected();
      sweeps = setInterval(() => {
        this.#sweep(abort).catch(() => ending.abort());
      }, SWEEP_INTERVAL_MS);
      for await (const line of readLines(stream)) await this.#handleEvent(line, abort);
    } finally {
      clearInterval(sweeps);
      end();
    }
  }

  async #sweep(abort: AbortSignal): Promise<void> {
    const { docker, installation } = this.#options;
    const filters = toLabelFilter(installation);
    const instances = (await listContainers(docker, filters, abort)).map(listingToInstance);
    const present = new Set(instances.map(({ id }) => id));
    const before = this.#alive;
    this.#alive = new Map(instances.filter(({ state }) => state === 'running').map((found) => [found.id, found]));
    for (const dead of instances.filter(hasDied)) await this.#reportDead(dead.id, dead, abort);
    for (const [id, instance] of before) if (!present.has(id)) this.#report(toRemoved(instance));
    this.#reported.forgetAllBut(present);
  }

  async #handleEvent(line: string, abort: AbortSignal): Promise<void> {
    const parsed = engineEvent.safeParse(parseJson(line));
    if (!parsed.success) {
      this.#options.log.warn('the engine sent an event that does not have its documented shape');
      return;
    }
    const { Action: action, Actor: actor, time } = parsed.data;
    const instance: Instance = {
      id: actor.ID,
      runner: actor.Attributes[DOCKER_LABELS.runner] ?? '',
      group: actor.Attributes[DOCKER_LABELS.group] ?? '',
      state: 'running',
      createdAt: new Date(time * 1000).toISOString(),
    };
    if (action === 'start') this.#alive.set(instance.id, instance);
    else if (action === 'die')
      await this.#reportDead(instance.id, toExited(instance, actor.Attributes['exitCode']), abort);
    else if (action === 'destroy') this.#report(toRemoved(instance));
  }

  /** Looks up why it died, which a `die` event doesn't include; reports `fallback` if the container is already gone. */
  async #reportDead(id: string, fallback: Instance, abort: AbortSignal): Promise<void> {
    if (!this.#reported.isUnreported(fallback)) return;
    const info = await inspectContainer(this.#options.docker, id, abort);
    const instance = info === undefined ? fallback : inspectionToInstance(info);
    if (instance.state === 'dead') this.#report(instance);
  }

  #report(instance: Instance): void {
    this.#alive.delete(instance.id);
    this.#reported.report(instance);
  }
}

/** The lines of a stream. Unlike readline, it throws if the stream ends early or is destroyed. */
async function* readLines(stream: NodeJS.ReadableStream): AsyncGenerator<string> {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream) {
    const lines = `${rest}${String(chunk)}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line !== '');
  }
}

function toExited(instance: Instance, exitCode: string | undefined): Instance {
  const code = exitCode === undefined ? null : Number(exitCode);
  return { ...instance, state: 'dead', exitCode: code, reason: `exited with code ${code}` };
}

function toRemoved(instance: Instance): Instance {
  return { ...instance, state: 'dead', exitCode: null, reason: 'its container was removed' };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
