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
import { rootMessage } from '../lib/failure.ts';
import { DelegationActor, HandedOn } from './actor.ts';
import type { Place } from './progress.ts';

const newsSignal = defineSignal<[DelegationEvent[]]>(DELEGATION_EVENTS);

/** How long nothing may be heard in a place until the forge is asked; doubled each time up to the second. Milliseconds. */
const SILENCE_MS: Record<Exclude<Place, 'over' | 'handed-back'>, readonly [number, number]> = {
  held: [2000, 60_000],
  waiting: [10_000, 120_000],
  running: [60_000, 900_000],
};
/** A hook ends right after its hand-over. A look after such a silence that still finds its attempt is worth a word. */
const HELD_LONG_MS = 4000;
/** Pauses between looks at the group's runners, and between tries to re-run a job whose run is busy with others. */
const LOOK_MS = [300, 10_000] as const;
const BUSY_MS = [2000, 30_000] as const;
/** The proxies' actor is asked again where nothing came of it. */
const ASIDE_WITHIN_MS = 60_000;
/** After its job's end, the runner program's own may take a moment. */
const LAST_WORD_MS = [500, 8000] as const;
/** A re-run that lands on a proxy is run again, so often at most. */
const LANDINGS = 10;

/** How a delegation ends. `lost`: the job was not run, and will not be unless somebody does something. */
interface End {
  status: 'completed' | 'failed';
  action: 'completed' | 'failed' | 'handed-on';
  lost: boolean;
  detail: string;
}

/**
 * One job that a proxy handed over: orders an ephemeral runner, waits until the forge has failed the attempt on the proxy,
 * has just that job run again while the proxies step aside, and follows it to its end. Whatever happens, the order is taken
 * back and the proxies are let back.
 */
export async function delegation(input: DelegationInput): Promise<DelegationOutcome> {
  const actor = new DelegationActor(input);
  setHandler(newsSignal, (items) => actor.hear(items));
  actor.show();
  const end = await endOf(actor);
  return await CancellationScope.nonCancellable(async () => {
    const { failure, ...last } = await lastWord(actor);
    const said = failure === null ? end.detail : `${end.detail}; of that runner: ${failure}`;
    await actor.record(end.action, { ...last, status: end.status, detail: said }, end.lost ? 'lost' : 'ok');
    await actor.demand(false);
    await actor.proxies('release');
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

async function endOf(actor: DelegationActor): Promise<End> {
  try {
    return await follow(actor);
  } catch (error) {
    if (isCancellation(error)) return lost('a person or a service cancelled the delegation; the job was not run again');
    // A typed error ends with what to do, a sentence.
    return lost(`${rootMessage(error).replace(/\.$/, '')}; the job was not run again`);
  }
}

/** From the hand-over to the job's end. */
async function follow(actor: DelegationActor): Promise<End> {
  await actor.record('requested', { detail: 'looking for the job on the forge' });
  const given = await actor.find();
  if (given) return handedOn(given);
  await actor.record('found', { detail: `job ${actor.progress.job?.name ?? ''} is on ${actor.job.runnerName}` });
  await actor.demand(true);
  await actor.record('runner-ordered', {
    detail: 'an ephemeral runner is ordered; its attempt on the proxy fails first',
  });
  for (let landings = 0; ;) {
    const place = actor.progress.place();
    if (place === 'over') return over(actor);
    if (place === 'handed-back') {
      if (landings++ >= LANDINGS) return lost(`its re-run landed on a proxy ${LANDINGS} times`);
      const end = await again(actor);
      if (end) return end;
      continue;
    }
    if (place === 'running' && actor.job.status !== 'running') await begun(actor);
    const other = await stay(actor, place);
    if (other) return handedOn(other);
  }
}

/** Until the job has left that place, looking at the forge where nothing is heard. */
async function stay(
  actor: DelegationActor,
  place: Exclude<Place, 'over' | 'handed-back'>,
): Promise<HandedOn | undefined> {
  const [first, most] = SILENCE_MS[place];
  for (let silence = first; ; silence = Math.min(silence * 2, most)) {
    const summary = `${place}: asks the forge unless something is heard`;
    const gone = (): boolean => actor.progress.place() !== place;
    await condition(() => gone() || actor.hint, silence, { summary });
    if (gone()) return undefined;
    if (actor.hint) {
      actor.hint = false;
      // The hook speaks a moment before the forge has the result.
      if (await condition(gone, first, { summary: 'the attempt on the proxy is about to end' })) return undefined;
    }
    const other = await actor.observe();
    if (other || gone()) return other;
    if (place === 'running') await tellOfRunner(actor);
    if (place === 'held' && silence >= HELD_LONG_MS) {
      const what = 'its hook hangs, or the proxy was killed, which the forge misses after about ten minutes';
      actor.tell({
        detail: `its attempt is still on ${actor.progress.job?.runnerName ?? actor.job.runnerName}: ${what}`,
      });
    }
    if (place !== 'waiting') continue;
    // Proxies come back by themselves after a while: as long as the re-run waits, they are to stay away.
    await actor.proxies('hold');
    const { problem } = await actor.group();
    if (problem) actor.tell({ detail: `run again; waiting for an ephemeral runner: ${problem}` });
  }
}

/** From the failed attempt to the re-run; undefined where there is one, or where something else happened to the job. */
async function again(actor: DelegationActor): Promise<End | undefined> {
  const { waitForRunnerMs } = actor.input;
  actor.tell({
    status: 'queued',
    detail: 'the attempt on the proxy failed, as it had to; waiting for an ephemeral runner',
  });
  const problem = await untilRunner(actor, Date.now() + waitForRunnerMs);
  if (actor.progress.place() !== 'handed-back') return undefined;
  if (problem !== undefined) {
    return lost(`no ephemeral runner came up within ${formatDuration(waitForRunnerMs)}: ${problem}`);
  }
  for (let pause: number = BUSY_MS[0]; ; pause = Math.min(pause * 2, BUSY_MS[1])) {
    await untilAside(actor);
    const result = await actor.rerun();
    if (result instanceof HandedOn) return handedOn(result);
    if (result !== 'busy') {
      if (result === 'rerunning')
        await actor.record('re-run', { detail: 'run again; waiting for the ephemeral runner to take it' });
      return undefined;
    }
    // The forge starts one new attempt of a run at a time, and none while a job of it runs.
    await actor.proxies('release');
    actor.tell({ detail: 'its run has other jobs under way: the forge allows a re-run after them' });
    await condition(() => actor.progress.place() !== 'handed-back', pause, { summary: 'the run is busy: try again' });
    if (actor.progress.place() !== 'handed-back') return undefined;
  }
}

/** Until a runner of the group is connected. @returns what kept it from that, once the time is up */
async function untilRunner(actor: DelegationActor, deadline: number): Promise<string | undefined> {
  const elsewhere = (): boolean => actor.progress.place() !== 'handed-back';
  let known: string | undefined;
  for (let pause: number = LOOK_MS[0]; ; pause = Math.min(pause * 2, LOOK_MS[1])) {
    const { online, problem } = await actor.group();
    if (online > 0) return undefined;
    // The next one that is just being made has none yet.
    known = problem ?? known;
    if (problem) actor.tell({ detail: `waiting for an ephemeral runner: ${problem}` });
    if (Date.now() >= deadline) return known ?? 'none was made yet; the group may be at its max';
    const left = Math.max(1, Math.min(pause, deadline - Date.now()));
    if (await condition(elsewhere, left, { summary: 'no runner is online yet' })) return undefined;
  }
}

/** Until the group's proxies stepped aside. */
async function untilAside(actor: DelegationActor): Promise<void> {
  actor.tell({ detail: 'an ephemeral runner is online; the proxies step aside' });
  for (;;) {
    await actor.proxies('hold');
    if (await condition(() => actor.aside, ASIDE_WITHIN_MS, { summary: 'proxies step aside' })) return;
  }
}

/** The job began on an ephemeral runner: proxies may come back. */
async function begun(actor: DelegationActor): Promise<void> {
  const runner = actor.progress.job?.runnerName ?? null;
  actor.job = { ...actor.job, runner };
  const instance = await actor.runner();
  await actor.record('running', {
    status: 'running',
    detail: `running on ${runner ?? 'a runner'}`,
    containerId: instance?.instanceId ?? null,
    startedAt: new Date().toISOString(),
  });
  await actor.demand(false);
  await actor.proxies('release');
}

/** A runner that was lost is known at once; the forge says so of its job after some minutes. */
async function tellOfRunner(actor: DelegationActor): Promise<void> {
  const failure = (await actor.runner())?.failure ?? null;
  if (failure === null) return;
  actor.tell({
    detail: `${actor.job.runner ?? 'its runner'} failed: ${failure}; waiting until the forge has missed it`,
  });
}

/** What is known only at the end: the container, the runner program's last words, and why the runner failed, if it did. */
async function lastWord(actor: DelegationActor): Promise<Partial<DelegatedJob> & { failure: string | null }> {
  const { job } = actor.progress;
  const known = { conclusion: job?.conclusion ?? null, completedAt: new Date().toISOString(), failure: null };
  if (!actor.progress.ranElsewhere()) return known;
  const runner = job?.runnerName ?? null;
  actor.job = { ...actor.job, runner, startedAt: actor.job.startedAt ?? known.completedAt };
  for (let pause: number = LAST_WORD_MS[0]; ; pause *= 2) {
    const instance = await actor.runner();
    const exited = instance?.exited ?? null;
    const failure = instance?.failure ?? null;
    if (instance === null || exited !== null || failure !== null || pause > LAST_WORD_MS[1]) {
      const last = { exitCode: exited?.code ?? null, logTail: exited?.logTail ?? null, failure };
      return { ...known, ...last, containerId: instance?.instanceId ?? actor.job.containerId };
    }
    await condition(() => false, pause, { summary: 'the runner program is about to end' });
  }
}

function over(actor: DelegationActor): End {
  const { job } = actor.progress;
  const conclusion = job?.conclusion ?? 'no conclusion';
  if (actor.progress.ranElsewhere()) {
    const failed = conclusion !== 'success';
    const detail = `ran on ${job?.runnerName ?? ''}: ${conclusion}`;
    return { status: failed ? 'failed' : 'completed', action: failed ? 'failed' : 'completed', lost: false, detail };
  }
  if (job?.conclusion === 'success') {
    return lost('the job ran on the proxy itself: its started hook did not fail it. Check the proxy’s hook path');
  }
  const detail = `the job was over before it ran on an ephemeral runner: ${conclusion}`;
  return { status: 'failed', action: 'failed', lost: false, detail };
}

function handedOn({ to }: HandedOn): End {
  const detail = `handed on to delegation ${to}, whose job this is`;
  return { status: 'completed', action: 'handed-on', lost: false, detail };
}

function lost(detail: string): End {
  return { status: 'failed', action: 'failed', lost: true, detail };
}
