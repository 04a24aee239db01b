import { createHash } from 'node:crypto';
import { createRandom, type Random } from '../../services/simulator/random.ts';
import { FAULT_KINDS, drawFault, formatFault, type ChaosFault, type FaultKind } from './fault-kinds.ts';

/** A group of the installation under test. */
export interface ChaosGroup {
  /** Also its label. */
  name: string;
  backend: string;
  max: number;
  min: number;
  /** How many of all jobs are for it, compared with the other groups. */
  weight: number;
}

export interface ScheduleOptions {
  seed: number;
  jobs: number;
  faults: number;
  groups: readonly Pick<ChaosGroup, 'name' | 'weight'>[];
  /** Names of all copies of all services, and `nats` and `temporal`. */
  processes: readonly string[];
  /** Longest time for which a process is stopped, or a forge refuses, milliseconds. */
  maxFaultMs: number;
  /** Kinds of faults. Default: all. */
  kinds?: readonly FaultKind[];
}

/** Jobs that are queued at once. */
export interface Wave {
  /** When so many jobs have started or ended. */
  after: number;
  group: string;
  count: number;
  /** How long each runs, milliseconds. */
  runMs: number;
}

export interface ScheduledFault {
  /** When so many jobs have started or ended… */
  after: number;
  /** …and then after this time, milliseconds. */
  delayMs: number;
  fault: ChaosFault;
}

/** What happens in a run, in units of its progress: how many jobs have started or ended. */
export interface Schedule {
  waves: readonly Wave[];
  faults: readonly ScheduledFault[];
}

/** The last faults happen before the last jobs start. */
const LAST_FAULT_SHARE = 0.92;
const MAX_DELAY_MS = 1_500;
/** Kinds that have more turns than others. */
const FREQUENT: readonly FaultKind[] = ['kill', 'kill', 'stop', 'restart', 'instance-death', 'cancel'];
/** A job runs for some of these, milliseconds. */
const RUN_MS = [100, 300, 300, 300, 800, 2_000] as const;

/** The schedule of a seed: the same options give the same schedule. */
export function createSchedule(options: ScheduleOptions): Schedule {
  const random = createRandom(options.seed);
  return { waves: drawWaves(options, random), faults: drawFaults(options, random) };
}

/** One line for each wave and fault, in the order of their moments. */
export function formatSchedule({ waves, faults }: Schedule): string {
  const lines = [
    ...waves.map(({ after, group, count, runMs }) => ({ after, text: `${count} jobs of ${runMs} ms for ${group}` })),
    ...faults.map(({ after, delayMs, fault }) => ({ after, text: `${formatFault(fault)} (+${delayMs} ms)` })),
  ];
  return lines
    .sort((a, b) => a.after - b.after)
    .map(({ after, text }) => `${String(after).padStart(5)}  ${text}`)
    .join('\n');
}

/** Twelve hexadecimal digits, by which two schedules can be compared. */
export function hashSchedule(schedule: Schedule): string {
  return createHash('sha256').update(formatSchedule(schedule)).digest('hex').slice(0, 12);
}

function drawWaves({ jobs, groups }: ScheduleOptions, random: Random): Wave[] {
  const waves: Wave[] = [];
  const nextGroup = createDeck(
    groups.flatMap(({ name, weight }) => Array.from({ length: weight }, () => name)),
    random,
  );
  for (let queued = 0; queued < jobs;) {
    const count = Math.min(jobs - queued, random.integer(1, 12));
    // Now and then all jobs have started before the next ones arrive, so that runners become idle.
    const backlog = random.chance(0.25) ? 0 : random.integer(4, 25);
    const before = waves.at(-1)?.after ?? 0;
    const after = Math.max(before, queued - backlog, 0);
    waves.push({ after, group: nextGroup(), count, runMs: random.pick(RUN_MS) ?? 0 });
    queued += count;
  }
  return waves;
}

/** Every kind, and every process for those of processes, has its turn before one is repeated. */
function drawFaults(options: ScheduleOptions, random: Random): ScheduledFault[] {
  const { jobs, processes, groups, maxFaultMs, kinds = FAULT_KINDS } = options;
  const nextKind = createDeck([...kinds, ...FREQUENT.filter((kind) => kinds.includes(kind))], random);
  const nextProcess = createDeck(processes, random);
  const nextGroup = createDeck(
    groups.map(({ name }) => name),
    random,
  );
  const faults = Array.from({ length: options.faults }, () =>
    drawFault(nextKind(), { random, nextProcess, nextGroup, maxFaultMs }),
  );
  const moments = faults.map(() => random.integer(0, Math.floor(jobs * LAST_FAULT_SHARE))).sort((a, b) => a - b);
  return faults.map((fault, index) => ({
    after: moments[index] ?? 0,
    delayMs: random.integer(0, MAX_DELAY_MS),
    fault,
  }));
}

/** Draws items in random order, each once before any is drawn again. */
function createDeck<T>(items: readonly T[], random: Random): () => T {
  let deck: T[] = [];
  return () => {
    if (deck.length === 0) deck = random.shuffle(items);
    const drawn = deck.pop();
    if (drawn === undefined) throw new Error('the deck has no items');
    return drawn;
  };
}
