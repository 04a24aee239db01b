/** What a group's dispatcher knows of one of its runners. */
export interface KnownRunner {
  since: number;
  busy: boolean;
  /** The job's key, once the forge has reported it. */
  job?: string;
  /** The run, where only the runner's own hook has reported so far. */
  run?: string;
  /** Created with earlier settings: retires first. */
  outdated?: boolean;
  /** Asked to retire. */
  askedToRetire?: boolean;
  /** It serves no job any more, though its instance still exists: it counts towards `max` only. */
  leaving?: boolean;
  /** It failed, which slowed the next starts down already. */
  counted?: boolean;
  /** Its backend, where the group's backend has changed since. */
  backend?: string;
}

/** A group's runners, each counted once: `ready` ones start or are idle, `leaving` ones serve no job any more. */
export interface RunnerCounts {
  busy: number;
  ready: number;
  leaving: number;
}

export function countEach(runners: ReadonlyMap<string, KnownRunner>): RunnerCounts {
  let busy = 0;
  let leaving = 0;
  for (const runner of runners.values()) {
    if (runner.busy) busy += 1;
    else if (runner.leaving) leaving += 1;
  }
  return { busy, leaving, ready: runners.size - busy - leaving };
}

/**
 * Idle runners to ask to retire, outdated ones first, then the oldest.
 *
 * @param needs `wanted`: how many ready runners the group wants; `demand`: how many of them its jobs need
 * @param max how many to choose
 */
export function chooseSurplus(
  runners: ReadonlyMap<string, KnownRunner>,
  { wanted, demand }: { wanted: number; demand: number },
  max: number,
): [name: string, runner: KnownRunner][] {
  const idle = [...runners].filter(([, runner]) => !runner.busy && !runner.leaving);
  const outdated = idle.filter(([, { outdated: stale }]) => stale).length;
  const count = Math.max(idle.length - wanted, Math.min(outdated, idle.length - demand));
  const asked = idle.filter(([, runner]) => runner.askedToRetire).length;
  return idle
    .filter(([, runner]) => !runner.askedToRetire)
    .sort(([, a], [, b]) => Number(b.outdated ?? false) - Number(a.outdated ?? false) || a.since - b.since)
    .slice(0, Math.min(max, Math.max(0, count - asked)));
}
