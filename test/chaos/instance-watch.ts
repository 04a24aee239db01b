import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import Docker from 'dockerode';
import { z } from 'zod';
import { parseGroupFromRunnerName } from '../../contracts/workflows/runner-name.ts';
import { listInstanceFolders } from '../support/find-leftovers.ts';
import { listInstanceProcesses, SecondAgents } from '../support/instances.ts';
import type { InstanceLife, Occupancy } from './checker.ts';
import type { TimelineEntry } from './timeline.ts';

const FOLDERS_INTERVAL_MS = 25;
const PROCESSES_INTERVAL_MS = 200;

const engineEvent = z.object({
  Action: z.string(),
  Actor: z.object({ Attributes: z.object({ name: z.string(), 'baton.group': z.string() }) }),
  timeNano: z.number(),
});

interface WatchOptions {
  /** The cluster's folder. */
  dir: string;
  installation: string;
  /** Whether some instances are containers. */
  containers: boolean;
}

/** Watches instances from outside: their folders, the process table and the engine's events. */
export class InstanceWatch {
  readonly occupancies: Occupancy[] = [];
  readonly doubles: { runner: string; text: string }[] = [];
  readonly entries: TimelineEntry[] = [];
  readonly #lives = new Map<string, InstanceLife>();
  readonly #options: WatchOptions;
  readonly #parent: string;
  readonly #agents = new SecondAgents();
  readonly #containers = new Map<string, { group: string; runner: string }>();
  readonly #created = new Set<string>();
  readonly #timers: NodeJS.Timeout[];
  #folders: readonly string[] = [];
  #events: Readable | undefined;

  private constructor(options: WatchOptions) {
    this.#options = options;
    this.#parent = join(options.dir, 'local', options.installation);
    this.#timers = [
      setInterval(() => this.#lookAtFolders(), FOLDERS_INTERVAL_MS),
      setInterval(() => this.#lookAtProcesses(), PROCESSES_INTERVAL_MS),
    ];
  }

  static async start(options: WatchOptions): Promise<InstanceWatch> {
    const watch = new InstanceWatch(options);
    if (options.containers) await watch.#listen();
    return watch;
  }

  /** All instances that ever were. */
  get lives(): readonly InstanceLife[] {
    return [...this.#lives.values()];
  }

  /** The local backend's instances, by runner. */
  get localRunners(): readonly string[] {
    return this.#folders;
  }

  /** The containers that exist now, by runner. */
  get containerRunners(): readonly string[] {
    return [...this.#containers.keys()];
  }

  /** The folder of a runner of the local backend. */
  toFolder(runner: string): string {
    return join(this.#parent, runner);
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#events?.destroy();
  }

  #lookAtFolders(): void {
    const now = listInstanceFolders(this.#parent);
    const before = new Set(this.#folders);
    const isNew = now.filter((runner) => !before.has(runner));
    const gone = this.#folders.filter((runner) => !now.includes(runner));
    this.#folders = now;
    const at = Date.now();
    for (const runner of isNew) {
      this.#begin(runner, this.#findGroup(runner), at);
      this.#record(runner, 'appeared');
    }
    for (const runner of gone) {
      this.#end(runner, at);
      this.#record(runner, 'is gone');
    }
    if (isNew.length > 0) this.#occupy('folders', now);
  }

  #lookAtProcesses(): void {
    const processes = listInstanceProcesses(this.#options.dir);
    for (const { folder, text } of this.#agents.look(processes)) {
      this.doubles.push({ runner: basename(folder), text });
    }
    // Reading the process table takes a while. Those that still run now all ran at the moment when the reading ended.
    const alive = processes.filter(({ pid }) => isRunning(pid));
    this.#occupy('processes', [...new Set(alive.map(({ folder }) => basename(folder)))]);
  }

  #occupy(seenIn: string, runners: readonly string[]): void {
    const instances = runners.map((runner) => ({ group: this.#findGroup(runner), runner }));
    this.occupancies.push({ at: Date.now(), seenIn, instances });
  }

  #findGroup(runner: string): string {
    return parseGroupFromRunnerName(this.#options.installation, runner) ?? '';
  }

  #begin(runner: string, group: string, from: number): void {
    this.#lives.set(runner, { group, runner, from, to: undefined });
  }

  #end(runner: string, to: number): void {
    const life = this.#lives.get(runner);
    if (life !== undefined) life.to = to;
  }

  #record(runner: string, text: string): void {
    this.entries.push({ at: Date.now(), source: 'instance', text: `${runner} ${text}`, runner });
  }

  async #listen(): Promise<void> {
    const label = [`baton.installation=${this.#options.installation}`];
    const events = await new Docker().getEvents({
      filters: { type: ['container'], event: ['create', 'start', 'die', 'destroy'], label },
    });
    if (!(events instanceof Readable)) throw new Error('the engine sends no stream of events');
    this.#events = events;
    events.on('error', () => undefined);
    createInterface({ input: events }).on('line', (line) => {
      const { Action: action, Actor: actor, timeNano } = engineEvent.parse(JSON.parse(line));
      const { name: runner, 'baton.group': group } = actor.Attributes;
      this.#onEngineEvent(Math.floor(timeNano / 1e6), action, { runner, group });
    });
  }

  #onEngineEvent(at: number, action: string, instance: { group: string; runner: string }): void {
    const { runner } = instance;
    this.entries.push({ at, source: 'instance', text: `container ${runner}: ${action}`, runner });
    if (action === 'destroy') {
      this.#containers.delete(runner);
      this.#end(runner, at);
    }
    if (action !== 'create') return;
    if (this.#created.has(runner)) this.doubles.push({ runner, text: `container ${runner} was created twice` });
    this.#created.add(runner);
    this.#begin(runner, instance.group, at);
    this.#containers.set(runner, instance);
    this.occupancies.push({ at, seenIn: 'engine', instances: [...this.#containers.values()] });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
