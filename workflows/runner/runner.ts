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
  RUNNER_EVENTS,
  RUNNER_INSTANCE,
  type RunnerEvent,
  type RunnerInput,
  type RunnerInstance,
} from '../../contracts/workflows/runner.ts';
import { formatDuration } from '../../contracts/format.ts';
import type { RemovalReason, RunnerOutcome } from '../../contracts/workflows/phase.ts';
import { RunnerActor, type RunnerState } from './actor.ts';

const newsSignal = defineSignal<[RunnerEvent[]]>(RUNNER_EVENTS);
const instanceQuery = defineQuery<RunnerInstance>(RUNNER_INSTANCE);
const registerUpdate = defineUpdate<void>(REGISTER_RUNNER);

/** After a completed hook or webhook: the runner program still has to report to the forge and end. */
const COMPLETION_GRACE_MS = 60_000;
/** GitHub's `busy` lags up to 60 s behind the start of a job: so long may a job still show up after "not busy". */
const BUSY_LAG_MS = 60_000;
/** A job can flood its own runner with signals: well before the server's limits the history begins anew. */
const HISTORY_EVENTS = 2000;

/**
 * One ephemeral runner: one instance, one registration, at most one job. Whatever happens, it ends with everything
 * removed. Cancelling it means: remove it now, busy or not.
 */
export async function runner(input: RunnerInput & { carried?: RunnerState }): Promise<RunnerOutcome> {
  const actor = new RunnerActor(input, workflowInfo().startTime, input.carried);
  setHandler(newsSignal, (items) => actor.hear(items));
  setHandler(instanceQuery, () => actor.instance());
  setHandler(registerUpdate, () => actor.grant(), { validator: () => actor.assertMayRegister() });
  actor.show();

  const end = await live(actor);
  if (end === 'history-full') {
    await condition(allHandlersFinished);
    return await continueAsNew<typeof runner>({ ...input, carried: actor.toState() });
  }
  const outcome = await CancellationScope.nonCancellable(async () => {
    const removed = await actor.remove(end);
    await condition(allHandlersFinished);
    return removed;
  });
  if (outcome.failed) throw ApplicationFailure.nonRetryable(outcome.detail, outcome.reason, outcome);
  if (outcome.reason === 'cancelled') throw new CancelledFailure(outcome.detail, [outcome]);
  return outcome;
}

/** From creation to the reason for removal. */
async function live(actor: RunnerActor): Promise<RemovalReason | 'history-full'> {
  const scope = new CancellationScope();
  const leading = scope.run(() => lead(actor));
  const overtaking = scope.run(async (): Promise<RemovalReason | 'history-full'> => {
    const { timeToLiveMs } = actor.input.settings;
    const summary = `time to live: ${formatDuration(timeToLiveMs)}`;
    const full = (): boolean => workflowInfo().historyLength > HISTORY_EVENTS && actor.quiet();
    // The one timer that holds from creation to the end, whatever else happens.
    return (await condition(full, actor.timeToLiveLeft(), { summary })) ? 'history-full' : 'time-to-live';
  });
  try {
    const end = await Promise.race([leading, overtaking]);
    if (end !== 'time-to-live') return end;
  } catch (error) {
    if (!isCancellation(error)) throw error;
  }
  // What is under way (making an instance) comes to its own end before anything is removed.
  const late = scope.consideredCancelled ? 'cancelled' : 'time-to-live';
  await CancellationScope.nonCancellable(async () => {
    scope.cancel();
    await leading.catch(() => undefined);
    await overtaking.catch(() => undefined);
  });
  return late;
}

async function lead(actor: RunnerActor): Promise<RemovalReason> {
  const { facts } = actor;
  if (!(await actor.create())) return 'create-failed';
  const late = await untilStarted(actor);
  if (late !== undefined) return late;
  await condition(() => facts.hookCompleted || actor.over());
  if (!actor.ended()) {
    actor.note('waiting for the runner program to end');
    await condition(() => actor.ended(), COMPLETION_GRACE_MS, { summary: 'grace: the runner program is to end' });
  }
  for (;;) {
    if (facts.died) return 'instance-died';
    // The instance may still live: only the forge's word that nothing runs on it lets it be destroyed.
    if (facts.forgeCompleted || (await actor.forgeConsents())) return 'agent-exited';
    actor.note('the forge says that its job still runs: kept');
    await condition(() => facts.died !== undefined || facts.forgeCompleted, BUSY_LAG_MS, {
      summary: 'the forge says busy: ask again after this',
    });
  }
}

/**
 * Until a job started or the runner is over; else the reason for removal, once time-to-start is up or the group needs it no
 * longer. A runner that is idle then stays if the group wants it warm.
 */
async function untilStarted(actor: RunnerActor): Promise<RemovalReason | undefined> {
  const { facts } = actor;
  const { timeToStartMs } = actor.input.settings;
  const begun = (): boolean => facts.started || actor.over();
  let wait = actor.timeToStartLeft();
  for (;;) {
    const summary = `time to start: ${formatDuration(timeToStartMs)}`;
    if (!begun()) await condition(() => begun() || actor.retireAsked, wait, { summary });
    if (begun()) return undefined;
    const reason = actor.answerRetirement();
    if (!facts.granted) return reason;
    wait = reason === 'retired' ? actor.timeToStartLeft() : timeToStartMs;
    if ((facts.online || reason === 'retired') && !(await actor.mayRetire())) {
      actor.note('kept warm for the next job');
      continue;
    }
    if (!(await actor.forgeConsents())) {
      actor.note('the forge says that a job runs on it: kept');
      continue;
    }
    // Unregistered, it can't be given a job any more; one given just before would show within the lag.
    const lag = Math.min(BUSY_LAG_MS, timeToStartMs);
    await condition(begun, lag, { summary: 'no new job possible; one just begun would show by then' });
    if (!facts.started) return reason;
  }
}
