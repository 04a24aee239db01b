import type {
  ObservedInstance,
  Mark,
  ObservedRegistration,
  ObservedWorkflow,
} from '../../contracts/workflows/health.ts';
import type { ObservedSlot } from '../../contracts/workflows/dispatcher.ts';

/** What the three sides say; undefined where one gave no answer, which is never read as "nothing". */
export interface Sights {
  workflows: ObservedWorkflow[] | undefined;
  slots: ObservedSlot[] | undefined;
  instances: ObservedInstance[] | undefined;
  registrations: ObservedRegistration[] | undefined;
}

/** Runners with an instance, a registration or a slot, but without a workflow as far as visibility goes: to be confirmed. */
export function maybeOwnerless({ workflows, slots, instances, registrations }: Sights, olderThan: number): string[] {
  if (workflows === undefined) return [];
  const owned = new Set(workflows.map(({ runner }) => runner));
  const candidates = [
    ...(instances ?? []).filter(({ since }) => since < olderThan),
    ...(slots ?? []).filter(({ since }) => since < olderThan),
    // The forge doesn't say when one was made: the mark's own age must do.
    ...(registrations ?? []),
  ];
  return [...new Set(candidates.map(({ runner }) => runner))].filter((runner) => !owned.has(runner)).sort();
}

/** Runners whose workflow should have an instance by now, which the backend doesn't list. */
export function maybeBodiless({ workflows, instances }: Sights, olderThan: number): string[] {
  if (workflows === undefined || instances === undefined) return [];
  const alive = new Set(instances.map(({ runner }) => runner));
  return workflows
    .filter(({ runner, since, expectsInstance: embodied }) => embodied && since < olderThan && !alive.has(runner))
    .map(({ runner }) => runner)
    .sort();
}

/** What is found now, marked since when it was first. */
export function remark(
  before: readonly Mark[],
  found: { kind: Mark['kind']; runners: readonly string[] }[],
  now: number,
): Mark[] {
  const since = new Map(before.map((mark) => [`${mark.kind} ${mark.runner}`, mark.since]));
  return found.flatMap(({ kind, runners }) =>
    runners.map((runner) => ({ kind, runner, since: since.get(`${kind} ${runner}`) ?? now })),
  );
}

/** One clause for a person: what of it is there. */
export function remainsOf(runner: string, { slots, instances, registrations }: Sights): string {
  const has = (sights: readonly { runner: string }[] | undefined): boolean =>
    sights?.some((sight) => sight.runner === runner) ?? false;
  const remains = [
    has(instances) ? 'an instance' : '',
    has(registrations) ? 'a registration' : '',
    has(slots) ? 'a place in the dispatcher' : '',
  ].filter(Boolean);
  return remains.join(' and ');
}
