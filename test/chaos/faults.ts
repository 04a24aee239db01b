import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';
import { getDockerStatus } from '../../contracts/lib/docker-status.ts';
import { removeRunner } from '../../services/simulator/jobs/runners.ts';
import type { Job, Runner } from '../../services/simulator/state.ts';
import { NO_FAULTS, type FaultRates } from '../../services/simulator/webhooks/faults.ts';
import type { Cluster } from '../support/cluster.ts';
import { findGuardedProgram } from '../support/guarded-program.ts';
import { killInstanceIn } from '../support/instances.ts';
import type { SimControl } from '../support/simulator-control.ts';
import { until } from '../support/until.ts';
import { formatFault, type ChaosFault, type Refusal } from './fault-kinds.ts';
import type { InstanceWatch } from './instance-watch.ts';
import type { TimelineEntry } from './timeline.ts';

export interface FaultTargets {
  cluster: Cluster;
  sim: SimControl;
  watch: InstanceWatch;
  /** Names of all copies of all services, and of the servers. */
  processes: readonly string[];
}

/** What the forge does all the time, also without a fault. */
export const BASE_RATES: Partial<FaultRates> = {
  ...NO_FAULTS,
  loss: 0.05,
  duplication: 0.1,
  reorder: 0.2,
  delay: 0.1,
  delayMaxMs: 1_500,
};
const BASE_ERROR_RATE = 0.03;
/** A process that does not start, because what it needs is down, is started again, as a supervisor does. */
const RESTART_TIMEOUT_MS = 120_000;
const REFUSALS: Record<Refusal, Record<string, string | number>> = {
  suspended: { fault: 'suspended' },
  forbidden: { fault: 'forbidden' },
  sso: { fault: 'sso' },
  '401': { fault: 'status', status: 401 },
  '404': { fault: 'status', status: 404 },
};

/** Does what a schedule says, and records what it did. */
export class FaultInjector {
  readonly entries: TimelineEntry[] = [];
  /** Jobs that were cancelled. */
  readonly cancelled = new Set<number>();
  /** Runners whose instance was ended. */
  readonly victims = new Set<string>();
  /** How many faults of each kind were done. */
  readonly counts = new Map<string, number>();
  readonly #targets: FaultTargets;
  readonly #running = new Set<Promise<void>>();
  /** The last fault of each process: a process has one at a time. */
  readonly #queues = new Map<string, Promise<void>>();
  readonly #rates: Partial<FaultRates>[] = [];
  readonly #errorRates: number[] = [];
  readonly #stopped = new Set<number>();
  #failure: unknown;

  constructor(targets: FaultTargets) {
    this.#targets = targets;
  }

  /** What the forge does from the beginning. */
  async begin(): Promise<void> {
    await this.#applyRates();
  }

  /** Begins a fault; {@link calm} waits for its end. */
  start(fault: ChaosFault): void {
    const text = formatFault(fault);
    this.counts.set(fault.kind, (this.counts.get(fault.kind) ?? 0) + 1);
    const running = this.#inject(fault, text)
      .then(() => this.#record(`over: ${text}`))
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits until all faults are over, and ends what the forge does all the time. @throws what a fault threw */
  async calm(): Promise<void> {
    const { sim, cluster } = this.#targets;
    while (this.#running.size > 0) await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure;
    await sim.faults({ ...NO_FAULTS });
    await sim.apiFaultRate(0);
    await cluster.sim.sim.webhooks.idle();
    this.#record('all faults are over');
  }

  /** Lets everything run that a fault has stopped. */
  resumeAll(): void {
    for (const pid of this.#stopped) signalProcess(pid, 'SIGCONT');
  }

  async #inject(fault: ChaosFault, text: string): Promise<void> {
    const { sim } = this.#targets;
    switch (fault.kind) {
      case 'kill':
        return this.#alone([fault.target], text, () => this.#kill([fault.target], fault.downMs));
      case 'kill-everything': {
        const all = this.#targets.processes;
        return this.#alone(all, text, () => this.#kill(all, fault.downMs));
      }
      case 'stop':
        return this.#alone([fault.target], text, () => this.#stop(fault.target, fault.forMs));
      case 'restart':
        return this.#alone([fault.target], text, async () => {
          await this.#targets.cluster.stopService(fault.target);
          await sleep(fault.downMs);
          await this.#restart(fault.target);
        });
      case 'instance-death':
        return this.#endInstance(fault, text);
      case 'registration-loss':
        return this.#loseRegistration(fault, text);
      case 'cancel':
        return this.#cancel(fault, text);
      default:
    }
    this.#record(text);
    switch (fault.kind) {
      case 'webhooks':
        return during(this.#rates, fault.rates, fault.forMs, () => this.#applyRates());
      case 'api-errors':
        return during(this.#errorRates, fault.rate, fault.forMs, () => this.#applyRates());
      case 'api-slow':
        await sim.apiFault({ fault: 'slow', delayMs: fault.delayMs, forMs: fault.forMs });
        return sleep(fault.forMs + fault.delayMs);
      case 'api-outage':
        await sim.apiFault({ fault: 'outage', forMs: fault.forMs });
        return sleep(fault.forMs);
      case 'api-limit':
        await sim.apiFault({ fault: 'limited', forMs: 5_000, count: 1 });
        return sleep(5_000 + this.#targets.cluster.sim.sim.limits.retryAfterSeconds * 1_000);
      case 'refusal':
        await sim.apiFault({ ...REFUSALS[fault.refusal], forMs: fault.forMs });
        return sleep(fault.forMs);
      default:
        fault satisfies never;
    }
  }

  /** Runs a fault of these processes after those that they have already. */
  async #alone(processes: readonly string[], text: string, run: () => Promise<void>): Promise<void> {
    const before = processes.flatMap((name) => this.#queues.get(name) ?? []);
    const runAfter = async (): Promise<void> => {
      await Promise.all(before);
      this.#record(text);
      await run();
    };
    const mine = runAfter();
    for (const name of processes) {
      this.#queues.set(
        name,
        mine.catch(() => undefined),
      );
    }
    return mine;
  }

  async #kill(names: readonly string[], downMs: number): Promise<void> {
    const { cluster } = this.#targets;
    const servers = [
      ...(names.includes('nats') ? [cluster.haltNats()] : []),
      ...(names.includes('temporal') ? [cluster.haltTemporal()] : []),
    ];
    const services = names.filter((name) => !isServer(name));
    const halted = Promise.all(servers);
    await Promise.all([halted, ...services.map((name) => cluster.killService(name))]);
    await sleep(downMs);
    await Promise.all((await halted).map((server) => server.resume()));
    await Promise.all(services.map((name) => this.#restart(name)));
  }

  async #restart(name: string): Promise<void> {
    await until(() => this.#targets.cluster.restartService(name), {
      what: `${name} is ready again`,
      timeoutMs: RESTART_TIMEOUT_MS,
    });
  }

  async #stop(name: string, forMs: number): Promise<void> {
    const pid = findProgramPid(this.#targets.cluster, name);
    this.#stopped.add(pid);
    signalProcess(pid, 'SIGSTOP');
    await sleep(forMs);
    signalProcess(pid, 'SIGCONT');
    this.#stopped.delete(pid);
  }

  async #applyRates(): Promise<void> {
    await this.#targets.sim.faults({ ...BASE_RATES, ...this.#rates.at(-1) });
    await this.#targets.sim.apiFaultRate(Math.max(BASE_ERROR_RATE, ...this.#errorRates));
  }

  async #endInstance(fault: Extract<ChaosFault, { kind: 'instance-death' }>, text: string): Promise<void> {
    const { watch } = this.#targets;
    const instances = [...watch.localRunners, ...watch.containerRunners].filter((name) =>
      this.#isOf(name, fault.group),
    );
    const busy = new Set(this.#listRunners().flatMap(({ name, job }) => (isStarted(job) ? [name] : [])));
    const wanted = instances.filter((name) => fault.which === 'any' || busy.has(name) === (fault.which === 'busy'));
    const runner = choose(wanted.length > 0 ? wanted : instances, fault.pick);
    if (runner === undefined) return this.#record(`${text}: there is none`);
    this.victims.add(runner);
    this.#record(`${text}: ${runner}${busy.has(runner) ? ', busy' : ''}`, runner);
    if (watch.localRunners.includes(runner)) return killInstanceIn(watch.toFolder(runner));
    const container = new Docker().getContainer(runner);
    await (fault.remove ? container.remove({ force: true, v: true }) : container.kill()).catch((error: unknown) => {
      // It has ended, or is being removed, just now.
      if (![404, 409].includes(getDockerStatus(error) ?? 0)) throw error;
    });
  }

  /** Not over the forge's HTTP API: its runner must not get a job meanwhile. */
  #loseRegistration(fault: Extract<ChaosFault, { kind: 'registration-loss' }>, text: string): Promise<void> {
    const idle = this.#listRunners().filter(({ online, job }) => online && job === null);
    const own = idle.filter(({ name }) => this.#isOf(name, fault.group));
    const runner = choose(own.length > 0 ? own : idle, fault.pick);
    this.#record(`${text}: ${runner?.name ?? 'there is no idle runner'}`, runner?.name);
    if (runner !== undefined) removeRunner(this.#targets.cluster.sim.sim, runner, 'api');
    return Promise.resolve();
  }

  async #cancel(fault: Extract<ChaosFault, { kind: 'cancel' }>, text: string): Promise<void> {
    const { sim, cluster } = this.#targets;
    const waiting = [...cluster.sim.sim.state.queue].filter(({ spec }) => spec.labels.includes(fault.group));
    // The newest wait longest.
    const chosen = waiting.slice(-fault.count).map(({ id }) => id);
    this.#record(`${text}: ${chosen.join(', ') || 'no job waits'}`);
    for (const id of chosen) {
      this.cancelled.add(id);
      await sim.cancel(id);
    }
  }

  #listRunners(): Runner[] {
    return [...this.#targets.cluster.sim.sim.state.runners.values()];
  }

  #isOf(runner: string, group: string): boolean {
    return runner.startsWith(`${this.#targets.cluster.installation}-${group}-`);
  }

  #record(text: string, runner?: string): void {
    this.entries.push({ at: Date.now(), source: 'fault', text, runner });
  }
}

function isServer(name: string): name is 'nats' | 'temporal' {
  return name === 'nats' || name === 'temporal';
}

function isStarted(job: Job | null): boolean {
  return job !== null && job.startedAt !== null;
}

function choose<T>(items: readonly T[], pick: number): T | undefined {
  return items[Math.floor(pick * items.length)];
}

/** The program itself, not the guard that ends it with this process. */
function findProgramPid(cluster: Cluster, name: string): number {
  const child = isServer(name) ? cluster[name].child : cluster.services.get(name);
  return findGuardedProgram(child);
}

function signalProcess(pid: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/** Keeps `item` in the list for that time, and applies the list at the beginning and at the end. */
async function during<T>(list: T[], item: T, ms: number, apply: () => Promise<void>): Promise<void> {
  list.push(item);
  await apply();
  await sleep(ms);
  list.splice(list.indexOf(item), 1);
  await apply();
}
