import {
  allHandlersFinished,
  ApplicationFailure,
  CancelledFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  REGISTER_RUNNER,
  REGISTRATION_REFUSAL,
  RUNNER_EVENTS,
  RUNNER_INSTANCE,
  type RunnerEvent,
  type RunnerInput,
  type RunnerInstance,
} from '../../contracts/workflows/runner.ts';
import { RUNNER_SLOT, type RunnerSlot } from '../../contracts/workflows/takeover.ts';
import { formatDuration } from '../../contracts/format.ts';
import type { RemovalReason, RunnerOutcome } from '../../contracts/workflows/phase.ts';
import { historyIsFull } from '../lib/history.ts';
import { toSpread } from '../lib/spread.ts';
import { RunnerActor, type RunnerState } from './actor.ts';

const eventsSignal = defineSignal<[RunnerEvent[]]>(RUNNER_EVENTS);
const instanceQuery = defineQuery<RunnerInstance>(RUNNER_INSTANCE);
const slotQuery = defineQuery<RunnerSlot, [string]>(RUNNER_SLOT);
const refusalQuery = defineQuery<string | null>(REGISTRATION_REFUSAL);
const registerUpdate = defineUpdate<void>(REGISTER_RUNNER);

/** After the completed hook or webhook, the runner program still has to report to the forge and to exit. */
const COMPLETION_TIMEOUT_MS = 60_000;
/** GitHub's `busy` lags up to 60 s behind the start of a job: a job may still appear for 60 s after "not busy". */
const BUSY_LAG_MS = 60_000;
/** A tenth of the time to start, at most a tenth of this, is added to it: differently for each runner. */
const MAX_SPREAD_MS = 600_000;

/**
 * One ephemeral runner: one instance, one registration, at most one job. Whatever happens, it removes all of these before it
 * ends. Cancelling it removes it at once, even while a job runs on it.
 */
export async function runner(input: RunnerInput & { carried?: RunnerState }): Promise<RunnerOutcome> {
  const actor = new RunnerActor(input, workflowInfo().startTime, input.carried);
  setHandler(eventsSignal, (events) => actor.apply(events));
  setHandler(instanceQuery, () => actor.describeInstance());
  setHandler(slotQuery, (fingerprint) => actor.describeSlot(fingerprint));
  setHandler(registerUpdate, () => actor.grantRegistration(), { validator: () => actor.assertMayRegister() });
  setHandler(refusalQuery, () => actor.findRegistrationRefusal() ?? null);
  actor.updateView();

  const begin = async (): Promise<never> => {
    await condition(allHandlersFinished);
    return await continueAsNew<typeof runner>({ ...input, carried: actor.toState() });
  };
  const end = input.carried?.removal?.reason ?? (await runWithTimeToLive(actor));
  if (end === 'history-full') return await begin();
  const outcome = await CancellationScope.nonCancellable(async () => {
    const removed = await actor.remove(end);
    await condition(allHandlersFinished);
    return removed ?? (await begin());
  });
  if (outcome.failed) throw ApplicationFailure.nonRetryable(outcome.detail, outcome.reason, outcome);
  if (outcome.reason === 'cancelled') throw new CancelledFailure(outcome.detail, [outcome]);
  return outcome;
}

/** Runs until there is a reason for removal, or until the history is full; ends early when the time to live is over. */
async function runWithTimeToLive(actor: RunnerActor): Promise<RemovalReason | 'history-full'> {
  const scope = new CancellationScope();
  const running = scope.run(() => run(actor));
  const interrupting = scope.run(async (): Promise<RemovalReason | 'history-full'> => {
    const { timeToLiveMs } = actor.input.settings;
    const summary = `time to live: ${formatDuration(timeToLiveMs)}`;
    // A job can flood its own runner with signals.
    const full = (): boolean => historyIsFull() && actor.isQuiet();
    // The one timer that runs from the creation to the end, whatever else happens.
    return (await condition(full, actor.timeToLiveLeft(), { summary })) ? 'history-full' : 'time-to-live';
  });
  try {
    const end = await Promise.race([running, interrupting]);
    if (end !== 'time-to-live') return end;
  } catch (error) {
    if (!isCancellation(error)) throw error;
  }
  // An instance that is being created is waited for before anything is removed.
  const late = scope.consideredCancelled ? 'cancelled' : 'time-to-live';
  await CancellationScope.nonCancellable(async () => {
    scope.cancel();
    await running.catch(() => undefined);
    await interrupting.catch(() => undefined);
  });
  return late;
}

/** The steps of a runner's life, up to the reason for its removal. */
async function run(actor: RunnerActor): Promise<RemovalReason> {
  const { facts } = actor;
  const lag = Math.min(BUSY_LAG_MS, actor.input.settings.timeToStartMs);
  if (!(await actor.createInstance())) return 'create-failed';
  const late = await waitUntilStarted(actor);
  if (late !== undefined) return late;
  // Without a registration, its job is over: the forge removes it then, and never sooner.
  await condition(() => facts.hookCompleted || facts.unregistered || actor.isFinished());
  if (!actor.hasEnded()) {
    actor.setNote('waiting for the runner program to exit');
    await condition(() => actor.hasEnded(), COMPLETION_TIMEOUT_MS, { summary: 'waits for the runner program to exit' });
  }
  for (;;) {
    // When its program ends, so does its instance: the program's own last words say more.
    if (facts.died) return facts.exited === undefined ? 'instance-died' : 'agent-exited';
    if (facts.forgeCompleted) return 'agent-exited';
    if (await actor.awaitCompletedWebhook()) continue;
    // The instance may still be running: while the forge answers that a job runs on it, it stays. Without an answer it goes: the job
    // is over as far as its hook or its program can tell.
    const answer = await actor.tryUnregister(() => facts.died !== undefined || facts.forgeCompleted, lag);
    if (facts.died !== undefined || facts.forgeCompleted) continue;
    if (answer !== 'busy') return 'agent-exited';
    actor.setNote('not removed: the forge says that its job is still running');
    await condition(() => facts.died !== undefined || facts.forgeCompleted, BUSY_LAG_MS, {
      summary: 'the forge says busy: ask again after this time',
    });
  }
}

/**
 * Waits until a job started or the runner can run none any more. An idle runner whose time to start is over, or whose group
 * asked it to retire, stays if the group needs it as an idle runner. It leaves in any case while enough of its time to live is left
 * for the job that it could get: its registration first, so that it gets none.
 *
 * @returns the reason for removal, where no job started
 */
async function waitUntilStarted(actor: RunnerActor): Promise<RemovalReason | undefined> {
  const { facts } = actor;
  const { timeToStartMs } = actor.input.settings;
  const isDecided = (): boolean => facts.started || actor.isFinished();
  const isIdle = (): boolean => facts.online && facts.granted;
  // Runners that were created together don't ask their group together.
  const spread = Math.min(timeToStartMs, MAX_SPREAD_MS) * 0.1 * toSpread(actor.input.runner);
  let wait = actor.timeToStartLeft() + spread;
  for (;;) {
    const wasIdle = isIdle();
    const renewal = actor.renewal.timeLeft();
    const isAwake = (): boolean =>
      isDecided() || actor.retireAsked || facts.unregistered || (!wasIdle && isIdle() && renewal < wait);
    const summary = `time to start: ${formatDuration(timeToStartMs)}`;
    const before = Date.now();
    if (!isAwake()) {
      const woken = await condition(isAwake, wasIdle ? Math.min(wait, renewal) : wait, { summary });
      if (woken && !isDecided() && !actor.retireAsked && !facts.unregistered) {
        // It came online, and is to be renewed before its time to start is over.
        wait = Math.max(1, wait - (Date.now() - before));
        continue;
      }
    }
    if (isDecided()) return undefined;
    // The forge removes the registration of a runner that has a job when that job is over, not sooner.
    if (facts.unregistered) return 'unregistered';
    const reason = actor.takeRetirementReason();
    if (!facts.granted) return reason;
    wait = reason === 'retired' ? actor.timeToStartLeft() : timeToStartMs + spread;
    const mustLeave = reason === 'renewed' || (reason === 'time-to-start' && !facts.online);
    if (mustLeave) await actor.reportLeaving(reason);
    else if (!(await actor.mayRetire())) {
      actor.setNote('idle: waiting for the next job');
      continue;
    }
    const answer = await actor.tryUnregister(isDecided);
    if (answer === undefined) return undefined;
    if (answer === 'busy') {
      actor.renewal.postpone();
      actor.setNote('not removed: the forge says that a job is running on it');
      continue;
    }
    // Without a registration it gets no new job; a job that it got just before shows up within the lag. Where the forge refused, and
    // may refuse for ever, that is all that can be waited for.
    const lag = Math.min(BUSY_LAG_MS, timeToStartMs);
    await condition(isDecided, lag, { summary: 'unregistered: a job that just started would show up by then' });
    if (!facts.started) return reason;
  }
}
