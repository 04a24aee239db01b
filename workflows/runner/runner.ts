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
import { RunnerActor, type RunnerState } from './actor.ts';
import { BUSY_LAG_MS, StartWait } from './start-wait.ts';

const eventsSignal = defineSignal<[RunnerEvent[]]>(RUNNER_EVENTS);
const instanceQuery = defineQuery<RunnerInstance>(RUNNER_INSTANCE);
const slotQuery = defineQuery<RunnerSlot, [string]>(RUNNER_SLOT);
const refusalQuery = defineQuery<string | null>(REGISTRATION_REFUSAL);
const registerUpdate = defineUpdate<void>(REGISTER_RUNNER);

/** After the completed hook or webhook, the runner program still has to report to the forge and to exit. */
const COMPLETION_TIMEOUT_MS = 60_000;

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
  const late = await new StartWait(actor).run();
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
