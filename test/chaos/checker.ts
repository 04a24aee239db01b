import type { SimulatorEvent } from '../../services/simulator/event-log.ts';
import type { ChaosGroup } from './schedule.ts';

/** A set of instances that existed at the same time. */
export interface Occupancy {
  /** Milliseconds since the epoch. */
  at: number;
  /** Where it was seen: `folders`, `processes` or `engine`. */
  seenIn: string;
  instances: readonly { group: string; runner: string }[];
}

/** A stream of NATS, as its monitoring port shows it. */
export interface StreamState {
  name: string;
  messages: number;
  /** Delivered to nobody yet, or delivered and not acknowledged, of all its consumers. */
  pending: number;
}

/** A job that the run queued. */
export interface QueuedJob {
  id: number;
  group: string;
}

/** An instance, from when to when it was seen; times are milliseconds since the epoch. */
export interface InstanceLife {
  group: string;
  runner: string;
  from: number;
  to: number | undefined;
}

/** Jobs that came while idle runners of their group were leaving: as many as these. */
export interface LeavingCase {
  group: string;
  /** The runners that were leaving. */
  runners: readonly string[];
  jobIds: readonly number[];
  /** When the jobs were queued, milliseconds since the epoch. */
  at: number;
}

/** What was seen from outside: nothing of it is what Baton says of itself. */
export interface ChaosEvidence {
  groups: readonly ChaosGroup[];
  /** `max` of backends that have one. */
  caps: Readonly<Record<string, number>>;
  jobs: readonly QueuedJob[];
  /** The simulator's log. */
  log: readonly SimulatorEvent[];
  /** Jobs that a person cancelled. */
  cancelled: ReadonlySet<number>;
  /** Runners whose instance was ended by a fault. */
  victims: ReadonlySet<string>;
  occupancies: readonly Occupancy[];
  lives: readonly InstanceLife[];
  leavingCases: readonly LeavingCase[];
  /** Instances that were started twice. */
  doubles: readonly { runner: string; text: string }[];
  /** At the end, when nothing should exist any more: names by kind. */
  leftovers: Readonly<Record<string, readonly string[]>>;
  /** At the end. */
  streams: readonly StreamState[];
  /** When the last fault was over, milliseconds since the epoch. */
  lastFaultAt: number;
  /** Longest time that a job may wait after that, milliseconds. */
  maxWaitMs: number;
}

/** A promise that was not kept. */
export interface Problem {
  rule:
    | 'job ran once'
    | 'job waited too long'
    | 'job waited for a leaving runner'
    | 'more instances than max'
    | 'instance started twice'
    | 'busy runner removed'
    | 'left behind'
    | 'messages left'
    | 'the run did not end';
  text: string;
  jobId?: number;
  runners?: readonly string[];
  /** Milliseconds since the epoch. */
  at?: number;
}

/** Streams whose messages are work: at the end there is none. The others record what happened. */
const WORK = new Set(['BATON_WEBHOOKS', 'BATON_SIGNALS', 'BATON_DELEGATIONS', 'BATON_DEAD']);

/** Holds everything that was seen against what Baton promises. */
export function findBrokenPromises(evidence: ChaosEvidence): Problem[] {
  return [
    ...checkJobs(evidence),
    ...checkWaits(evidence),
    ...evidence.leavingCases.flatMap((leaving) => checkLeaving(leaving, evidence)),
    ...checkLimits(evidence),
    ...evidence.doubles
      .filter(({ runner }) => !evidence.victims.has(runner))
      .map(({ runner, text }): Problem => ({ rule: 'instance started twice', text, runners: [runner] })),
    ...checkRemovals(evidence),
    ...Object.entries(evidence.leftovers)
      .filter(([, names]) => names.length > 0)
      .map(([kind, names]): Problem => ({ rule: 'left behind', text: `${kind}: ${names.join(', ')}`, runners: names })),
    ...evidence.streams
      .filter(({ name, messages, pending }) => WORK.has(name) && messages + pending > 0)
      .map(({ name, messages, pending }): Problem => ({
        rule: 'messages left',
        text: `${name}: ${messages} messages, ${pending} pending`,
      })),
  ];
}

/** How long the job that waited longest after the last fault did so, milliseconds. */
export function measureLongestWait({ jobs, log, lastFaultAt }: ChaosEvidence): number {
  const waits = listWaits(log, new Set(jobs.map(({ id }) => id)));
  return Math.max(0, ...waits.map(({ from, to }) => to - Math.max(from, lastFaultAt)));
}

function checkJobs({ jobs, log, cancelled, victims }: ChaosEvidence): Problem[] {
  const starts = Map.groupBy(select(log, 'job.started'), toJobId);
  const ends = Map.groupBy(select(log, 'job.completed'), toJobId);
  return jobs.flatMap(({ id, group }): Problem[] => {
    const started = starts.get(id) ?? [];
    const [end, ...more] = ends.get(id) ?? [];
    const fail = (text: string): Problem[] => [
      {
        rule: 'job ran once',
        text: `job ${id} of ${group} ${text}`,
        jobId: id,
        ...(end && { at: Date.parse(end.at) }),
      },
    ];
    if (end === undefined) return fail('did not end');
    if (more.length > 0) return fail('ended more than once');
    if (started.length > 1) return fail(`started ${started.length} times`);
    const { conclusion } = end;
    if (conclusion === 'cancelled' && cancelled.has(id)) return [];
    if (started.length === 0) return fail(`ended as ${String(conclusion)} and never started`);
    if (conclusion === 'success') return [];
    const runner = String(started[0]?.['runner']);
    if (victims.has(runner)) return [];
    return fail(`ended as ${String(conclusion)} on ${runner}, to which no fault was done`);
  });
}

/** From when to when jobs waited for a runner. */
function listWaits(
  log: readonly SimulatorEvent[],
  ids: ReadonlySet<number>,
): { id: number; from: number; to: number }[] {
  const since = new Map<number, number>();
  return log.flatMap((event) => {
    const id = toJobId(event);
    if (!ids.has(id)) return [];
    const at = Date.parse(event.at);
    if (event.type === 'job.queued') since.set(id, at);
    if (event.type !== 'job.started' && event.type !== 'job.completed') return [];
    const from = since.get(id);
    since.delete(id);
    return from === undefined ? [] : [{ id, from, to: at }];
  });
}

function checkWaits({ jobs, log, lastFaultAt, maxWaitMs }: ChaosEvidence): Problem[] {
  const groups = new Map(jobs.map(({ id, group }) => [id, group]));
  return listWaits(log, new Set(groups.keys())).flatMap(({ id, from, to }): Problem[] => {
    const waited = to - Math.max(from, lastFaultAt);
    if (waited <= maxWaitMs) return [];
    const text = `job ${id} of ${groups.get(id)} waited ${waited} ms with no fault, at most ${maxWaitMs} ms are allowed`;
    return [{ rule: 'job waited too long', text, jobId: id, at: to }];
  });
}

/**
 * While runners are leaving, a new instance is made for the jobs, before the first of them is gone. By the order of events, not
 * by a time limit: a busy machine changes nothing.
 */
function checkLeaving({ group, runners, jobIds, at }: LeavingCase, { lives, log }: ChaosEvidence): Problem[] {
  const ends = lives.filter(({ runner }) => runners.includes(runner)).map(({ to }) => to ?? Infinity);
  const firstEnd = Math.min(...ends);
  const isReplaced = lives.some((life) => life.group === group && life.from >= at && life.from < firstEnd);
  const started = select(log, 'job.started').filter((event) => Date.parse(event.at) < firstEnd);
  const isServed = jobIds.every((id) => started.some((event) => toJobId(event) === id));
  if (isReplaced || isServed || firstEnd <= at) return [];
  const text = `no instance of ${group} was made for jobs ${jobIds.join(', ')} before ${runners.join(', ')} were gone`;
  return [{ rule: 'job waited for a leaving runner', text, runners, at }];
}

/** One problem for each limit: where it was exceeded most. */
function checkLimits({ groups, caps, occupancies }: ChaosEvidence): Problem[] {
  const backends = new Map(groups.map(({ name, backend }) => [name, backend]));
  const limits = [
    ...groups.map(({ name, max }) => ({ what: `group ${name}`, max, has: (group: string) => group === name })),
    ...Object.entries(caps).map(([backend, max]) => ({
      what: `backend ${backend}`,
      max,
      has: (group: string) => backends.get(group) === backend,
    })),
  ];
  return limits.flatMap(({ what, max, has }): Problem[] => {
    const [worst] = occupancies
      .map(({ at, seenIn, instances }) => ({
        at,
        seenIn,
        runners: toRunners(instances.filter(({ group }) => has(group))),
      }))
      .filter(({ runners }) => runners.length > max)
      .sort((a, b) => b.runners.length - a.runners.length);
    if (worst === undefined) return [];
    const text = `${what} had ${worst.runners.length} instances at once in ${worst.seenIn}, max is ${max}: ${worst.runners.join(', ')}`;
    return [{ rule: 'more instances than max', text, runners: worst.runners, at: worst.at }];
  });
}

function toRunners(instances: readonly { runner: string }[]): string[] {
  return instances.map(({ runner }) => runner);
}

/** A job whose instance is gone does not run any more, whatever the forge still says. */
function checkRemovals({ log, victims }: ChaosEvidence): Problem[] {
  return select(log, 'runner.removed')
    .filter(({ wasBusy, by, runner }) => wasBusy === true && by === 'api' && !victims.has(String(runner)))
    .map(({ runner, at }): Problem => {
      const text = `the registration of ${String(runner)} was removed while a job ran on it`;
      return { rule: 'busy runner removed', text, runners: [String(runner)], at: Date.parse(at) };
    });
}

function select(log: readonly SimulatorEvent[], type: SimulatorEvent['type']): SimulatorEvent[] {
  return log.filter((event) => event.type === type);
}

function toJobId({ jobId }: SimulatorEvent): number {
  return Number(jobId);
}
