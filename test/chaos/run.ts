import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../support/cluster.ts';
import { findClusterLeftovers } from '../support/find-leftovers.ts';
import { SimControl } from '../support/simulator-control.ts';
import { until } from '../support/until.ts';
import { findBrokenPromises, measureLongestWait, type LeavingCase, type Problem, type QueuedJob } from './checker.ts';
import type { FaultKind } from './fault-kinds.ts';
import { FaultInjector } from './faults.ts';
import { CAPS, listProcessNames, retireIdleRunners, startChaosCluster } from './installation.ts';
import { InstanceWatch } from './instance-watch.ts';
import { createSchedule, hashSchedule, type ChaosGroup, type Schedule } from './schedule.ts';
import { readStreams } from './streams.ts';
import { formatTimeline, selectEntries, toEntries, type TimelineEntry } from './timeline.ts';

export interface ChaosOptions {
  seed: number;
  jobs: number;
  faults: number;
  groups: readonly ChaosGroup[];
  kinds?: readonly FaultKind[];
  /** Longest time for which a process is stopped, or the forge refuses, milliseconds. */
  maxFaultMs: number;
  /** Longest time that a job may wait after the last fault, milliseconds. */
  maxWaitMs: number;
  /** After this time, no more jobs are queued and no more faults done, milliseconds. Default: never. */
  endAfterMs?: number;
  print: (line: string) => void;
  /** Called when the cluster has started: a caller that ends early must stop it, and with it all instances. */
  onStarted?: (cluster: Cluster) => void;
}

export interface ChaosResult {
  hash: string;
  problems: readonly Problem[];
  jobs: number;
  /** Jobs by their conclusion. */
  conclusions: Readonly<Record<string, number>>;
  /** Faults by kind. */
  faults: Readonly<Record<string, number>>;
  durationMs: number;
  longestWaitMs: number;
  /** What explains the problems, as text. */
  timeline: string;
  /** Everything that happened, as text. */
  fullTimeline: string;
}

/** As many more jobs as a group has slots, and these, are queued when all is calm. */
const MORE_THAN_MAX = 2;
const CALM_RUN_MS = 300;
const END_TIMEOUT_MS = 300_000;
const PROGRESS_INTERVAL_MS = 30_000;

/** Runs jobs through the faults of a seed, then some in calm, and checks what was seen from outside. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const cluster = await startChaosCluster(options.groups, options.seed);
  options.onStarted?.(cluster);
  const watch = await InstanceWatch.start({
    dir: cluster.dir,
    installation: cluster.installation,
    containers: options.groups.some(({ backend }) => backend === 'docker'),
  });
  const run = new ChaosRun(options, cluster, watch);
  try {
    return await run.run();
  } finally {
    run.faults.resumeAll();
    watch.stop();
    await cluster.stop();
  }
}

class ChaosRun {
  readonly faults: FaultInjector;
  readonly #options: ChaosOptions;
  readonly #cluster: Cluster;
  readonly #sim: SimControl;
  readonly #watch: InstanceWatch;
  readonly #jobs: QueuedJob[] = [];
  readonly #leavingCases: LeavingCase[] = [];
  readonly #entries: TimelineEntry[] = [];
  readonly #since = Date.now();
  #lastFaultAt = Date.now();
  #seenEvents = 0;
  readonly #begun = new Set<number>();

  constructor(options: ChaosOptions, cluster: Cluster, watch: InstanceWatch) {
    this.#options = options;
    this.#cluster = cluster;
    this.#watch = watch;
    this.#sim = new SimControl(cluster.sim.address);
    this.faults = new FaultInjector({ cluster, sim: this.#sim, watch, processes: listProcessNames(options.groups) });
  }

  async run(): Promise<ChaosResult> {
    const schedule = createSchedule({ ...this.#options, processes: listProcessNames(this.#options.groups) });
    const hash = hashSchedule(schedule);
    this.#options.print(`seed ${this.#options.seed}, schedule ${hash}`);
    const progress = setInterval(() => this.#printProgress(), PROGRESS_INTERVAL_MS);
    const ends: Problem[] = [];
    try {
      await this.#runSchedule(schedule);
      await this.#runInCalm();
    } catch (error) {
      ends.push({ rule: 'the run did not end', text: String(error), at: Date.now() });
      // What is down would answer none of the questions that follow.
      await this.faults.calm().catch(() => undefined);
    } finally {
      clearInterval(progress);
    }
    return this.#conclude(hash, ends);
  }

  /** Everything that the schedule says, each when so many jobs have started or ended; then until its jobs have ended. */
  async #runSchedule({ waves, faults }: Schedule): Promise<void> {
    const { endAfterMs = Infinity } = this.#options;
    await this.faults.begin();
    const steps = [
      ...waves.map((wave) => ({
        after: wave.after,
        delayMs: 0,
        run: async () => void (await this.#queue(wave.group, wave.count, wave.runMs)),
      })),
      ...faults.map(({ after, delayMs, fault }) => ({ after, delayMs, run: () => this.faults.start(fault) })),
    ].sort((a, b) => a.after - b.after);
    const running: Promise<unknown>[] = [];
    for (const { after, delayMs, run } of steps) {
      await until(() => this.#countBegun() >= after || Date.now() - this.#since > endAfterMs, {
        what: `${after} jobs have started or ended`,
        timeoutMs: END_TIMEOUT_MS,
      });
      if (Date.now() - this.#since > endAfterMs) break;
      const step = sleep(delayMs).then(() => run());
      step.catch(() => undefined);
      running.push(step);
    }
    await Promise.all(running);
    await this.faults.calm();
    this.#lastFaultAt = Date.now();
    await this.#untilCompleted();
  }

  /** The calm after the last fault: idle runners leave, and the jobs that come just then must not wait for that. */
  async #runInCalm(): Promise<void> {
    const { groups } = this.#options;
    const { log } = this.#cluster.sim;
    for (const { name, min } of groups) {
      await until(() => this.#countIdle(name) >= min, {
        what: `${name} has ${min} idle runners`,
        timeoutMs: END_TIMEOUT_MS,
      });
    }
    const { length: before } = log.since();
    this.#record('idle runners are no longer needed; no more health checks');
    await retireIdleRunners(this.#cluster);
    for (const { name, min } of groups) {
      if (min === 0) continue;
      const listRemoved = (): string[] =>
        log
          .since(before, 'runner.removed')
          .flatMap(({ runner }) => (this.#isOf(String(runner), name) ? [String(runner)] : []));
      await until(() => listRemoved().length >= min, {
        what: `${min} idle runners of ${name} were unregistered`,
        timeoutMs: END_TIMEOUT_MS,
      });
      const at = Date.now();
      const jobIds = await this.#queue(name, min, CALM_RUN_MS);
      this.#leavingCases.push({ group: name, runners: listRemoved(), jobIds, at });
    }
    await this.#untilCompleted();
    // More than `max`: each slot is needed again.
    for (const { name, max } of groups) await this.#queue(name, max + MORE_THAN_MAX, CALM_RUN_MS);
    await this.#untilCompleted();
    await until(
      async () => {
        const left = Object.entries(await this.#findLeftovers()).flatMap(([kind, names]) =>
          names.map((name) => `${kind} ${name}`),
        );
        const pending = (await readStreams(this.#cluster)).filter(({ pending }) => pending > 0);
        if (left.length + pending.length > 0) throw new Error([...left, ...pending.map(({ name }) => name)].join(', '));
      },
      { what: 'nothing is left', timeoutMs: END_TIMEOUT_MS },
    ).catch(() => undefined);
  }

  async #conclude(hash: string, ends: readonly Problem[]): Promise<ChaosResult> {
    const evidence = {
      groups: this.#options.groups,
      caps: CAPS,
      jobs: this.#jobs,
      log: this.#cluster.sim.log.since(),
      cancelled: this.faults.cancelled,
      victims: this.faults.victims,
      occupancies: this.#watch.occupancies,
      lives: this.#watch.lives,
      leavingCases: this.#leavingCases,
      doubles: this.#watch.doubles,
      leftovers: await this.#findLeftovers(),
      streams: await readStreams(this.#cluster),
      lastFaultAt: this.#lastFaultAt,
      maxWaitMs: this.#options.maxWaitMs,
    };
    const problems = [...ends, ...findBrokenPromises(evidence)];
    const entries = [...this.#entries, ...this.faults.entries, ...this.#watch.entries, ...toEntries(evidence.log)];
    const conclusions = Map.groupBy(
      evidence.log.filter(({ type }) => type === 'job.completed'),
      ({ conclusion }) => String(conclusion),
    );
    return {
      hash,
      problems,
      jobs: this.#jobs.length,
      conclusions: Object.fromEntries([...conclusions].map(([name, list]) => [name, list.length])),
      faults: Object.fromEntries(this.faults.counts),
      durationMs: Date.now() - this.#since,
      longestWaitMs: measureLongestWait(evidence),
      timeline: formatTimeline(selectEntries(entries, problems), this.#since),
      fullTimeline: formatTimeline(entries, this.#since),
    };
  }

  async #queue(group: string, count: number, runMs: number): Promise<number[]> {
    const ids = await this.#sim.jobs({ count, labels: [group], run: `sleep ${runMs / 1000}` });
    this.#jobs.push(...ids.map((id) => ({ id, group })));
    return ids;
  }

  async #untilCompleted(): Promise<void> {
    const { jobs } = this.#cluster.sim.sim.state;
    await until(() => this.#jobs.every(({ id }) => jobs.get(id)?.status === 'completed'), {
      what: 'all jobs have ended',
      timeoutMs: END_TIMEOUT_MS,
    });
  }

  /** How many jobs have started, or ended before that. */
  #countBegun(): number {
    const events = this.#cluster.sim.log.since(this.#seenEvents);
    this.#seenEvents += events.length;
    for (const { type, jobId } of events) {
      if (type === 'job.started' || type === 'job.completed') this.#begun.add(Number(jobId));
    }
    return this.#begun.size;
  }

  #countIdle(group: string): number {
    const runners = [...this.#cluster.sim.sim.state.runners.values()];
    return runners.filter(({ name, online, job }) => this.#isOf(name, group) && online && job === null).length;
  }

  #isOf(runner: string, group: string): boolean {
    return runner.startsWith(`${this.#cluster.installation}-${group}-`);
  }

  async #findLeftovers(): Promise<Record<string, string[]>> {
    const found = await findClusterLeftovers(this.#cluster);
    const services = [...this.#cluster.services].filter(([, child]) => !child.running).map(([name]) => name);
    return { ...found, 'services that ended': services };
  }

  #record(text: string): void {
    this.#entries.push({ at: Date.now(), source: 'run', text });
  }

  #printProgress(): void {
    const { state } = this.#cluster.sim.sim;
    const seconds = Math.round((Date.now() - this.#since) / 1000);
    const faults = [...this.faults.counts.values()].reduce((sum, count) => sum + count, 0);
    this.#options.print(
      `${seconds} s: ${this.#jobs.length} jobs queued, ${this.#countBegun()} started, ${state.queue.size} wait; ${faults} faults`,
    );
  }
}
