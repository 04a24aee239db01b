import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineSignal,
  isCancellation,
  setHandler,
} from '@temporalio/workflow';
import {
  DELEGATION_EVENTS,
  type DelegationInput,
  type DelegationEvent,
  type DelegationOutcome,
} from '../../contracts/workflows/delegation.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';
import { findRootMessage } from '../lib/failure.ts';
import { DelegationActor, type DelegationState } from './actor.ts';
import { toEnd, toHandedOnEnd, toLostEnd, type End } from './end.ts';
import { HandedOn } from './forge-questions.ts';
import { computeDelay, type GrowingDelay } from '../lib/growing-delay.ts';
import type { Stage } from './progress.ts';
import { rerunOnRunner } from './rerun.ts';

const eventsSignal = defineSignal<[DelegationEvent[]]>(DELEGATION_EVENTS);

/** After this time without an event, a delegation asks the forge about its job. */
const SILENCE_TIMEOUT_MS: Record<Exclude<Stage, 'finished' | 'handed-back'>, GrowingDelay> = {
  held: { first: 2000, max: 60_000 },
  waiting: { first: 10_000, max: 120_000 },
  running: { first: 60_000, max: 900_000 },
};
/** A proxy's hook exits right after the hand-over: an attempt that still runs after this time is reported. */
const LONG_HELD_MS = 4000;
/** Before the forge is asked again that refused to show the job. */
const REFUSED_DELAY_MS: GrowingDelay = { first: 5000, max: 120_000 };

/**
 * One job that a proxy handed over. It requests an ephemeral runner, waits until the attempt on the proxy has failed, makes the
 * forge run just that job again while the proxies step aside, and follows the job to its end. Whatever happens, it withdraws the
 * request and lets the proxies come back.
 */
export async function delegation(input: DelegationInput & { carried?: DelegationState }): Promise<DelegationOutcome> {
  const actor = new DelegationActor(input, input.carried);
  setHandler(eventsSignal, (events) => actor.apply(events));
  actor.updateView();
  const end = await runToEnd(actor);
  if (end === 'history-full') {
    await condition(allHandlersFinished);
    return await continueAsNew<typeof delegation>({ ...input, carried: actor.toState() });
  }
  return await CancellationScope.nonCancellable(async () => {
    const { failure, ...last } = await collectLastFacts(actor);
    const detailWithFailure = failure === null ? end.detail : `${end.detail}; the runner: ${failure}`;
    actor.record(end.action, { ...last, status: end.status, detail: detailWithFailure }, end.lost ? 'lost' : 'ok');
    await actor.withdrawRequest();
    await actor.signalProxies('release');
    await actor.finishRecords();
    await condition(allHandlersFinished);
    const { id, status, conclusion, detail } = actor.job;
    const outcome: DelegationOutcome = {
      id,
      status: status === 'completed' ? 'completed' : 'failed',
      conclusion,
      detail,
    };
    if (end.lost) throw ApplicationFailure.nonRetryable(detail, 'DELEGATION_LOST', outcome);
    return outcome;
  });
}

async function runToEnd(actor: DelegationActor): Promise<End | 'history-full'> {
  try {
    return await follow(actor);
  } catch (error) {
    if (isCancellation(error)) return toLostEnd('the delegation was cancelled; the job was not run again');
    // The help of a BatonError ends with a full stop.
    return toLostEnd(`${findRootMessage(error).replace(/\.$/, '')}; the job was not run again`);
  }
}

/** Follows the job from the hand-over to its end, or until the history is full. */
async function follow(actor: DelegationActor): Promise<End | 'history-full'> {
  const { position } = actor;
  while (!position.found) {
    if (actor.mustContinueAsNew()) return 'history-full';
    const handedOn = await findJob(actor);
    if (handedOn) return toHandedOnEnd(handedOn);
  }
  for (;;) {
    if (actor.mustContinueAsNew()) return 'history-full';
    const stage = actor.progress.getStage();
    if (stage !== position.stage) Object.assign(position, { stage, looks: 0, rerun: undefined });
    if (stage === 'finished') return toEnd(actor);
    if (stage === 'running' && actor.job.status !== 'running') await recordRunning(actor);
    const end = stage === 'handed-back' ? await rerunOnRunner(actor) : await waitForChange(actor, stage);
    if (end) return end;
  }
}

/** Looks for the job on the forge, then requests a runner for it. */
async function findJob(actor: DelegationActor): Promise<HandedOn | undefined> {
  const { position, job } = actor;
  if (position.looks === 0) actor.record('requested', { detail: 'looking for the job on the forge' });
  const found = await actor.forge.findJob(job);
  if (found instanceof HandedOn) return found;
  if (found === 'refused') {
    const pause = computeDelay(REFUSED_DELAY_MS, position.looks++);
    await condition(() => actor.mustContinueAsNew(), pause, {
      summary: 'the forge refused to show the job: ask again',
    });
    return undefined;
  }
  actor.record('found', { detail: `job ${actor.progress.job?.name ?? ''} is on ${actor.job.runnerName}` });
  await actor.requestRunner();
  actor.record('runner-ordered', {
    detail: 'requested an ephemeral runner; waiting for the attempt on the proxy to fail',
  });
  position.found = true;
  position.looks = 0;
  return undefined;
}

/** Waits until the job leaves that stage, and asks the forge when no event arrives. */
async function waitForChange(
  actor: DelegationActor,
  stage: Exclude<Stage, 'finished' | 'handed-back'>,
): Promise<End | undefined> {
  const delays = SILENCE_TIMEOUT_MS[stage];
  const silence = computeDelay(delays, actor.position.looks);
  const summary = `${stage}: asks the forge if no event arrives`;
  const mustGo = (): boolean => actor.progress.getStage() !== stage || actor.mustContinueAsNew();
  await condition(() => mustGo() || actor.hint, silence, { summary });
  if (mustGo()) return undefined;
  if (actor.hint) {
    actor.hint = false;
    // The hook reports a moment before the forge has the result.
    if (await condition(mustGo, delays.first, { summary: 'the attempt on the proxy is about to end' }))
      return undefined;
  }
  actor.position.looks += 1;
  const answer = await actor.forge.observeJob(actor.job);
  if (answer instanceof HandedOn) return toHandedOnEnd(answer);
  // What the forge does not show keeps no proxy from its jobs.
  if (answer === 'refused') return undefined;
  if (actor.progress.getStage() !== stage) return undefined;
  if (stage === 'running') await describeFailedRunner(actor);
  if (stage === 'held' && silence >= LONG_HELD_MS) {
    const what = 'its hook hangs, or the proxy was killed, which the forge notices after about ten minutes';
    actor.describe({
      detail: `its attempt is still on ${actor.progress.job?.runnerName ?? actor.job.runnerName}: ${what}`,
    });
  }
  if (stage !== 'waiting') return undefined;
  // A hold on the proxies expires: it is renewed as long as the re-run waits.
  await actor.signalProxies('hold');
  const { problem } = await actor.observeGroup();
  if (problem) actor.describe({ detail: `run again; waiting for an ephemeral runner: ${problem}` });
  return undefined;
}

/** Records that the job started on an ephemeral runner; the proxies may come back. */
async function recordRunning(actor: DelegationActor): Promise<void> {
  const runner = actor.progress.job?.runnerName ?? null;
  const startedAt = new Date().toISOString();
  actor.job = { ...actor.job, runner };
  await actor.withdrawRequest();
  await actor.signalProxies('release');
  const instance = await actor.describeRunner();
  actor.record('running', {
    status: 'running',
    detail: `running on ${runner ?? 'a runner'}`,
    containerId: instance?.instanceId ?? null,
    startedAt,
  });
}

/** Shows that the runner failed: Baton knows it at once, while the forge notices after some minutes. */
async function describeFailedRunner(actor: DelegationActor): Promise<void> {
  const failure = (await actor.describeRunner())?.failure ?? null;
  if (failure === null) return;
  actor.describe({
    detail: `${actor.job.runner ?? 'its runner'} failed: ${failure}; waiting until the forge notices`,
  });
}

/** Collects what is known only at the end: the container, the end of the runner program's output, and why the runner failed. */
async function collectLastFacts(actor: DelegationActor): Promise<Partial<DelegatedJob> & { failure: string | null }> {
  const { job } = actor.progress;
  const known = { conclusion: job?.conclusion ?? null, completedAt: new Date().toISOString(), failure: null };
  if (!actor.progress.ranElsewhere()) return known;
  const runner = job?.runnerName ?? null;
  actor.job = { ...actor.job, runner, startedAt: actor.job.startedAt ?? known.completedAt };
  const instance = await actor.describeEndedRunner();
  const exited = instance?.exited ?? null;
  return {
    ...known,
    exitCode: exited?.code ?? null,
    logTail: exited?.logTail ?? null,
    failure: instance?.failure ?? null,
    containerId: instance?.instanceId ?? actor.job.containerId,
  };
}
