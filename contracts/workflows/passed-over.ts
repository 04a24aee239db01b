/**
 * Jobs that the forge gives to none of the group's runners although idle ones were there for them: a runner for such a job would only
 * cost money, so that it is tried ever more slowly. Pure: workflow code imports this.
 */

/** What to do about a job that runners pass over, for people to read. */
export const PASSED_OVER_ADVICE =
  'on GitHub, check that the access of the runner group includes its repository (a public one needs leave of its own) and its workflow, ' +
  'and that `group:` in its runs-on names this group; `baton resume GROUP` tries again at once';

/**
 * `2 of the waiting jobs were passed over by idle runners; the next try is at 2026-01-02T03:04:05.678Z`
 *
 * @param formatTime shows the time of the next try
 */
export function describePassedOver(
  { jobs, nextTryAt }: { jobs: number; nextTryAt: string },
  formatTime: (iso: string) => string = (iso) => iso,
): string {
  const which = jobs === 1 ? '1 of the waiting jobs was' : `${jobs} of the waiting jobs were`;
  return `${which} passed over by idle runners; the next try is at ${formatTime(nextTryAt)}`;
}
