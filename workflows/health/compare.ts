import type {
  ObservedInstance,
  Mark,
  ObservedRegistration,
  ObservedWorkflow,
} from '../../contracts/workflows/health.ts';
import type { ObservedSlot } from '../../contracts/workflows/dispatcher.ts';

/** What Temporal, the dispatcher, the backend and the forge list. Undefined: no answer, which never means "nothing". */
export interface Observations {
  workflows: ObservedWorkflow[] | undefined;
  slots: ObservedSlot[] | undefined;
  instances: ObservedInstance[] | undefined;
  registrations: ObservedRegistration[] | undefined;
}

/** Runners with an instance, a registration or a slot, but without a workflow in Temporal's visibility: to be confirmed. */
export function findMaybeOrphaned(
  { workflows, slots, instances, registrations }: Observations,
  olderThan: number,
): string[] {
  if (workflows === undefined) return [];
  const owned = new Set(workflows.map(({ runner }) => runner));
  const candidates = [
    ...(instances ?? []).filter(({ since }) => since < olderThan),
    ...(slots ?? []).filter(({ since }) => since < olderThan),
    // The forge does not report when a registration was created: the age of its mark is used instead.
    ...(registrations ?? []),
  ];
  return [...new Set(candidates.map(({ runner }) => runner))].filter((runner) => !owned.has(runner)).sort();
}

/** Runners whose workflow should have an instance by now, but whose instance the backend does not list. */
export function findMissingInstances({ workflows, instances }: Observations, olderThan: number): string[] {
  if (workflows === undefined || instances === undefined) return [];
  const alive = new Set(instances.map(({ runner }) => runner));
  return workflows
    .filter(({ runner, since, expectsInstance }) => expectsInstance && since < olderThan && !alive.has(runner))
    .map(({ runner }) => runner)
    .sort();
}

/** Runners whose program is online, and whom the forge does not list. */
export function findMissingRegistrations({ workflows, registrations }: Observations, olderThan: number): string[] {
  if (workflows === undefined || registrations === undefined) return [];
  const registered = new Set(registrations.map(({ runner }) => runner));
  return workflows
    .filter(
      ({ runner, since, expectsRegistration }) => expectsRegistration && since < olderThan && !registered.has(runner),
    )
    .map(({ runner }) => runner)
    .sort();
}

/** Marks what is found now; what was marked before keeps its first time. */
export function updateMarks(
  before: readonly Mark[],
  found: { kind: Mark['kind']; runners: readonly string[] }[],
  now: number,
): Mark[] {
  const since = new Map(before.map((mark) => [`${mark.kind} ${mark.runner}`, mark.since]));
  return found.flatMap(({ kind, runners }) =>
    runners.map((runner) => ({ kind, runner, since: since.get(`${kind} ${runner}`) ?? now })),
  );
}

/** What exists of a runner, as one clause for people to read. */
export function describeRemains(runner: string, { slots, instances, registrations }: Observations): string {
  const has = (observed: readonly { runner: string }[] | undefined): boolean =>
    observed?.some((one) => one.runner === runner) ?? false;
  const remains = [
    has(instances) ? 'an instance' : '',
    has(registrations) ? 'a registration' : '',
    has(slots) ? 'a slot in the dispatcher' : '',
  ].filter(Boolean);
  return remains.join(' and ');
}
