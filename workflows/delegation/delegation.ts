import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
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
import { formatDuration } from '../../contracts/format.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';
import { findRootMessage } from '../lib/failure.ts';
import { DelegationActor, HandedOn } from './actor.ts';
import type { Stage } from './progress.ts';

const eventsSignal = defineSignal<[DelegationEvent[]]>(DELEGATION_EVENTS);

/** A delay that starts with `first` and doubles up to `max`. */
interface GrowingDelay {
  first: number;
  max: number;
}

/** After this time without an event, a delegation asks the forge about its job. */
const SILENCE_TIMEOUT_MS: Record<Exclude<Stage, 'finished' | 'handed-back'>, GrowingDelay> = {
  held: { first: 2000, max: 60_000 },
  waiting: { first: 10_000, max: 120_000 },
  running: { first: 60_000, max: 900_000 },
};
/** A proxy's hook exits right after the hand-over: an attempt that still runs after this time is reported. */
const LONG_HELD_MS = 4000;
/** How long to wait before another attempt to re-run a job whose run is busy with other jobs. */
const BUSY_RETRY_DELAY_MS: GrowingDelay = { first: 2000, max: 30_000 };
/** If the proxies have not stepped aside after this time, their workflow is signalled again. */
const RENEWAL_INTERVAL_MS = 60_000;
/** A re-run that a proxy takes is run again, at most this many times. */
const MAX_PROXY_RERUNS = 10;

/** How a delegation ends. `lost`: the job did not run, and will not run by itself. */
interface End {
  status: 'completed' | 'failed';
  action: 'completed' | 'failed' | 'handed-on';
  lost: boolean;
  detail: string;
}

/**
 * One job that a proxy handed over. It requests an ephemeral runner, waits until the attempt on the proxy has failed, makes the
 * forge run just that job again while the proxies step aside, and follows the job to its end. Whatever happens, it withdraws the
 * request and lets the proxies come back.
 */
export async function delegation(input: DelegationInput): Promise<DelegationOutcome> {
  const actor = new DelegationActor(input);
  setHandler(eventsSignal, (events) => actor.apply(events));
  actor.updateView();
  const end = await runToEnd(actor);
  return await CancellationScope.nonCancellable(async () => {
    const { failure, ...last } = await collectLastFacts(actor);
    const detailWithFailure = failure === null ? end.detail : `${end.detail}; the runner: ${failure}`;
    actor.record(end.action, { ...last, status: end.status, detail: detailWithFailure }, end.lost ? 'lost' : 'ok');
    await actor.signalDemand(false);
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

async function runToEnd(actor: DelegationActor): Promise<End> {
  try {
    return await follow(actor);
  } catch (error) {
    if (isCancellation(error)) return toLostEnd('the delegation was cancelled; the job was not run again');
    // The help of a BatonError ends with a full stop.
    return toLostEnd(`${findRootMessage(error).replace(/\.$/, '')}; the job was not run again`);
  }
}

/** Follows the job from the hand-over to its end. */
async function follow(actor: DelegationActor): Promise<End> {
  actor.record('requested', { detail: 'looking for the job on the forge' });
  const handedOn = await actor.findJob();
  if (handedOn) return toHandedOnEnd(handedOn);
  actor.record('found', { detail: `job ${actor.progress.job?.name ?? ''} is on ${actor.job.runnerName}` });
  await actor.signalDemand(true);
  actor.record('runner-ordered', {
    detail: 'requested an ephemeral runner; waiting for the attempt on the proxy to fail',
  });
  for (let proxyReruns = 0; ;) {
    const stage = actor.progress.getStage();
    if (stage === 'finished') return toEnd(actor);
    if (stage === 'handed-back') {
      if (proxyReruns++ >= MAX_PROXY_RERUNS) return toLostEnd(`a proxy took its re-run ${MAX_PROXY_RERUNS} times`);
      const end = await rerunOnRunner(actor);
      if (end) return end;
      continue;
    }
    if (stage === 'running' && actor.job.status !== 'running') await recordRunning(actor);
    const takenOver = await waitForNextStage(actor, stage);
    if (takenOver) return toHandedOnEnd(takenOver);
  }
}

/** Waits until the job has left that stage; asks the forge when no event arrives. */
async function waitForNextStage(
  actor: DelegationActor,
  stage: Exclude<Stage, 'finished' | 'handed-back'>,
): Promise<HandedOn | undefined> {
  const { first, max } = SILENCE_TIMEOUT_MS[stage];
  for (let silence = first; ; silence = Math.min(silence * 2, max)) {
    const summary = `${stage}: asks the forge if no event arrives`;
    const hasLeft = (): boolean => actor.progress.getStage() !== stage;
    await condition(() => hasLeft() || actor.hint, silence, { summary });
    if (hasLeft()) return undefined;
    if (actor.hint) {
      actor.hint = false;
      // The hook reports a moment before the forge has the result.
      if (await condition(hasLeft, first, { summary: 'the attempt on the proxy is about to end' })) return undefined;
    }
    const other = await actor.observeJob();
    if (other || hasLeft()) return other;
    if (stage === 'running') await describeFailedRunner(actor);
    if (stage === 'held' && silence >= LONG_HELD_MS) {
      const what = 'its hook hangs, or the proxy was killed, which the forge notices after about ten minutes';
      actor.describe({
        detail: `its attempt is still on ${actor.progress.job?.runnerName ?? actor.job.runnerName}: ${what}`,
      });
    }
    if (stage !== 'waiting') continue;
    // A hold on the proxies expires: it is renewed as long as the re-run waits.
    await actor.signalProxies('hold');
    const { problem } = await actor.observeGroup();
    if (problem) actor.describe({ detail: `run again; waiting for an ephemeral runner: ${problem}` });
  }
}

/** Waits for a runner and makes the forge run the job again. @returns the end, if that is not possible */
async function rerunOnRunner(actor: DelegationActor): Promise<End | undefined> {
  const { waitForRunnerMs } = actor.input;
  actor.describe({
    status: 'queued',
    detail: 'the attempt on the proxy failed as intended; waiting for an ephemeral runner',
  });
  const problem = await waitForRunner(actor, Date.now() + waitForRunnerMs);
  if (actor.progress.getStage() !== 'handed-back') {
    await actor.signalProxies('release');
    return undefined;
  }
  if (problem !== undefined) {
    return toLostEnd(`no ephemeral runner came up within ${formatDuration(waitForRunnerMs)}: ${problem}`);
  }
  actor.describe({ detail: 'an ephemeral runner is online, and the proxies stepped aside' });
  for (let pause = BUSY_RETRY_DELAY_MS.first; ; pause = Math.min(pause * 2, BUSY_RETRY_DELAY_MS.max)) {
    await waitUntilAside(actor);
    const result = await actor.rerunJob();
    if (result instanceof HandedOn) return toHandedOnEnd(result);
    if (result !== 'busy') {
      if (result === 'rerunning')
        actor.record('re-run', { detail: 'run again; waiting for the ephemeral runner to take it' });
      return undefined;
    }
    // The forge allows one new attempt of a run at a time, and none while a job of the run is running.
    await actor.signalProxies('release');
    actor.describe({ detail: 'other jobs of its run are still running: the forge allows a re-run afterwards' });
    await condition(() => actor.progress.getStage() !== 'handed-back', pause, {
      summary: 'the run is busy: try again',
    });
    if (actor.progress.getStage() !== 'handed-back') return undefined;
  }
}

/**
 * Waits until a runner of the group is online and the group's proxies have stepped aside for it. One workflow per group looks, and
 * not every delegation.
 *
 * @returns why no runner is online, once the deadline has passed
 */
async function waitForRunner(actor: DelegationActor, deadline: number): Promise<string | undefined> {
  const isDone = (): boolean => actor.aside || actor.progress.getStage() !== 'handed-back';
  for (let known: string | undefined; ;) {
    await actor.signalProxies('hold-when-online');
    // What was signalled is forgotten after a while: it is signalled again as long as this waits.
    const renewAt = Date.now() + RENEWAL_INTERVAL_MS;
    while (Date.now() < Math.min(renewAt, deadline)) {
      const left = Math.max(1, Math.min(renewAt, deadline) - Date.now());
      const hasChanged = (): boolean => isDone() || actor.runnerProblem !== known;
      if (!(await condition(hasChanged, left, { summary: 'no runner is online yet' }))) break;
      if (isDone()) return undefined;
      known = actor.runnerProblem;
      actor.describe({ detail: `waiting for an ephemeral runner: ${known}` });
    }
    if (Date.now() >= deadline) return known ?? 'none was created yet; the group may have reached its max';
  }
}

/** Waits until the group's proxies have stepped aside. */
async function waitUntilAside(actor: DelegationActor): Promise<void> {
  while (!actor.aside) {
    await actor.signalProxies('hold');
    await condition(() => actor.aside, RENEWAL_INTERVAL_MS, { summary: 'waits for the proxies to step aside' });
  }
}

/** Records that the job started on an ephemeral runner; the proxies may come back. */
async function recordRunning(actor: DelegationActor): Promise<void> {
  const runner = actor.progress.job?.runnerName ?? null;
  const startedAt = new Date().toISOString();
  actor.job = { ...actor.job, runner };
  await actor.signalDemand(false);
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

function toEnd(actor: DelegationActor): End {
  const { job } = actor.progress;
  const conclusion = job?.conclusion ?? 'no conclusion';
  if (actor.progress.ranElsewhere()) {
    const failed = conclusion !== 'success';
    const detail = `ran on ${job?.runnerName ?? ''}: ${conclusion}`;
    return { status: failed ? 'failed' : 'completed', action: failed ? 'failed' : 'completed', lost: false, detail };
  }
  if (job?.conclusion === 'success') {
    return toLostEnd(
      'the job ran on the proxy itself, because the started hook did not fail it; check the proxy’s hook path',
    );
  }
  const detail = `the job ended before it ran on an ephemeral runner: ${conclusion}`;
  return { status: 'failed', action: 'failed', lost: false, detail };
}

function toHandedOnEnd({ to }: HandedOn): End {
  const detail = `handed on to delegation ${to}, whose job this is`;
  return { status: 'completed', action: 'handed-on', lost: false, detail };
}

function toLostEnd(detail: string): End {
  return { status: 'failed', action: 'failed', lost: true, detail };
}
