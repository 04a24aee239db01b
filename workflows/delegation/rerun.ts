import { condition } from '@temporalio/workflow';
import { formatDuration } from '../../contracts/format.ts';
import type { DelegationActor } from './actor.ts';
import { toHandedOnEnd, toLostEnd, type End } from './end.ts';
import { HandedOn } from './forge-questions.ts';
import { computeDelay, type GrowingDelay } from '../lib/growing-delay.ts';
import type { WaitingRerun } from './position.ts';

/** Before the forge is asked again whether a job may be run again. */
const BUSY_DELAY_MS: GrowingDelay = { first: 1000, max: 120_000 };
/** A re-run that is not possible for longer than this needs no runner meanwhile. */
const MAX_IDLE_RUNNER_MS = 5 * 60_000;
/** If the proxies have not stepped aside after this time, their workflow is signalled again. */
const RENEWAL_INTERVAL_MS = 60_000;
/** A re-run that a proxy takes is run again, at most this many times. */
const MAX_PROXY_RERUNS = 10;

/**
 * The next step towards a re-run of the job: the forge is asked whether it is possible, and only then the proxies step aside, as soon
 * as a runner of the group is online.
 *
 * @returns the end, if a re-run is not possible
 */
export async function rerunOnRunner(actor: DelegationActor): Promise<End | undefined> {
  const { position } = actor;
  if (position.rerun === undefined) {
    if (position.reruns >= MAX_PROXY_RERUNS) return toLostEnd(`a proxy took its re-run ${MAX_PROXY_RERUNS} times`);
    const takenBy = position.reruns === 0 ? undefined : (actor.progress.job?.runnerName ?? undefined);
    position.rerun = { refusals: 0, refusedSince: undefined, deadline: undefined, takenBy };
    position.reruns += 1;
    // That proxy has registered again, and has not stepped aside.
    if (takenBy !== undefined) actor.aside = false;
    actor.describe({
      status: 'queued',
      detail: 'the attempt on the proxy failed as intended; waiting for an ephemeral runner',
    });
  }
  const { rerun } = position;
  if (rerun.deadline === undefined) {
    const state = await actor.forge.checkRerun(actor.job);
    if (state instanceof HandedOn) return toHandedOnEnd(state);
    if (state !== 'ready') return await waitUntilPossible(actor, rerun, state !== 'refused');
    rerun.deadline = Date.now() + actor.input.waitForRunnerMs;
    await actor.requestRunner();
  }
  const problem = await waitForRunner(actor, rerun, rerun.deadline);
  if (!isHandedBack(actor)) await actor.signalProxies('release');
  else if (problem !== undefined) {
    const { waitForRunnerMs } = actor.input;
    return toLostEnd(`no ephemeral runner came up within ${formatDuration(waitForRunnerMs)}: ${problem}`);
  } else if (actor.aside) return await run(actor, rerun);
  return undefined;
}

/** Makes the forge run the job again. */
async function run(actor: DelegationActor, rerun: WaitingRerun): Promise<End | undefined> {
  actor.describe({ detail: 'an ephemeral runner is online, and the proxies stepped aside' });
  const state = await actor.forge.rerunJob(actor.job);
  if (state instanceof HandedOn) return toHandedOnEnd(state);
  if (state === 'rerunning') {
    actor.record('re-run', { detail: 'run again; waiting for the ephemeral runner to take it' });
    return undefined;
  }
  // Another job of the run began in the meantime.
  rerun.deadline = undefined;
  return await waitUntilPossible(actor, rerun, true);
}

/**
 * Waits before the next question, ever longer: the forge allows one new attempt of a run at a time, and none while a job of the run
 * is running. The proxies take other jobs meanwhile.
 *
 * @param isBusy whether that is why; otherwise the reason is shown already
 */
async function waitUntilPossible(actor: DelegationActor, rerun: WaitingRerun, isBusy: boolean): Promise<undefined> {
  if (!isHandedBack(actor)) return;
  rerun.refusedSince ??= Date.now();
  await actor.signalProxies('release');
  if (isBusy)
    actor.describe({ detail: 'other jobs of its run are still running: the forge allows a re-run afterwards' });
  const idle = Math.min(actor.input.waitForRunnerMs, MAX_IDLE_RUNNER_MS);
  if (Date.now() - rerun.refusedSince >= idle) await actor.holdRequest();
  const pause = computeDelay(BUSY_DELAY_MS, rerun.refusals++);
  await condition(() => !isHandedBack(actor) || actor.mustContinueAsNew(), pause, {
    summary: 'the run is busy: ask again',
  });
}

/**
 * Waits until a runner of the group is online and the group's proxies have stepped aside for it, or until the history is full. One
 * workflow per group looks, and not every delegation.
 *
 * @returns why no runner is online, once the deadline has passed
 */
async function waitForRunner(
  actor: DelegationActor,
  rerun: WaitingRerun,
  deadline: number,
): Promise<string | undefined> {
  const mustGo = (): boolean => actor.aside || !isHandedBack(actor) || actor.mustContinueAsNew();
  for (let known: string | undefined; ;) {
    if (mustGo()) return undefined;
    const { takenBy } = rerun;
    rerun.takenBy = undefined;
    await actor.signalProxies('hold-when-online', takenBy);
    // What was signalled is forgotten after a while: it is signalled again as long as this waits.
    const renewAt = Date.now() + RENEWAL_INTERVAL_MS;
    while (Date.now() < Math.min(renewAt, deadline)) {
      const left = Math.max(1, Math.min(renewAt, deadline) - Date.now());
      const hasChanged = (): boolean => mustGo() || actor.runnerProblem !== known;
      if (!(await condition(hasChanged, left, { summary: 'no runner is online yet' }))) break;
      if (mustGo()) return undefined;
      known = actor.runnerProblem;
      actor.describe({ detail: `waiting for an ephemeral runner: ${known}` });
    }
    if (Date.now() >= deadline) return known ?? 'none was created yet; the group may have reached its max';
  }
}

const isHandedBack = (actor: DelegationActor): boolean => actor.progress.getStage() === 'handed-back';
