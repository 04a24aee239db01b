import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REGISTER_RUNNER, runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import type { GroupSettings } from '../../../contracts/workflows/group-settings.ts';
import { aGroup, freshName } from '../../support/a-group.ts';
import { aJob } from '../../support/a-job.ts';
import { startAnsweringForge, type AnsweringForge, type RemovalAnswer } from '../../support/answering-forge.ts';
import { anInstanceDeath, aRunnerSignal } from '../../support/runner-events.ts';
import { until } from '../../support/until.ts';
import { startWorkflowWorld, type WorkflowWorld } from '../../support/workflows.ts';

/**
 * What becomes of a runner in each step of its life for each kind of answer that the forge can give to the removal of its
 * registration: its instance, its slot and its workflow. Real HTTP, Baton's own client, a real Temporal server.
 */
let world: WorkflowWorld;
let forge: AnsweringForge;
let jobs = 5000;
/** What was left, and what should be, by step and answer. */
const ended = new Map<string, Promise<[found: End, expected: End]>>();

beforeAll(async () => {
  forge = await startAnsweringForge();
  world = await startWorkflowWorld({ forge: forge.forge });
  // All at once: most of their time is waiting.
  for (const step of Object.entries(STEPS)) {
    for (const [answer, kind] of Object.entries(ANSWERS)) {
      const end = endSubject(step, kind);
      // Its own test reports it.
      end.catch(() => undefined);
      ended.set(`${step[0]} ${answer}`, end);
    }
  }
});
afterAll(async () => {
  await world?.stop();
  await forge?.close();
});

interface Subject {
  group: string;
  runner: string;
  jobId: number;
}

interface Step {
  settings?: Partial<GroupSettings>;
  /** Whether its program is online before the step. Default true. */
  online?: boolean;
  act: (subject: Subject) => Promise<void>;
}

/** What is left of a runner. `kept`: nothing may be removed yet; `lingering`: only its registration is left. */
type End = 'gone' | 'lingering' | 'kept';

const handle = ({ group, runner }: Subject) => world.client.workflow.getHandle(runnerWorkflowId(group, runner));

async function start({ group, runner, jobId }: Subject): Promise<void> {
  await world.signalRunner(group, runner, [aRunnerSignal(runner, 'started', { jobId })]);
  await world.signal(group, [{ type: 'job', job: aJob('in_progress', jobId, { runnerName: runner }) }]);
}

const STEPS: Record<string, Step> = {
  'was asked to retire while idle': {
    act: ({ group, runner }) => world.signalRunner(group, runner, [{ type: 'retire' }]),
    settings: { timeToStartMs: 5000 },
  },
  'was idle for its time to start': { settings: { timeToStartMs: 5000 }, act: () => Promise.resolve() },
  'is due for renewal while idle': {
    settings: { timeToStartMs: 5000, timeToLiveMs: 30_000, min: 1 },
    act: () => Promise.resolve(),
  },
  'registered and never came online': {
    online: false,
    settings: { timeToStartMs: 5000 },
    act: () => Promise.resolve(),
  },
  'completed its job, and no webhook says so': {
    settings: { timeToStartMs: 8000 },
    act: async (subject) => {
      const { group, runner, jobId } = subject;
      await start(subject);
      await world.signalRunner(group, runner, [
        aRunnerSignal(runner, 'completed', { jobId }),
        aRunnerSignal(runner, 'exited'),
      ]);
    },
  },
  'crashed in the middle of its job': {
    settings: { timeToStartMs: 8000 },
    act: async (subject) => {
      await start(subject);
      await world.signalRunner(subject.group, subject.runner, [aRunnerSignal(subject.runner, 'exited', { code: 1 })]);
    },
  },
  'lost its instance in the middle of its job': {
    act: async (subject) => {
      await start(subject);
      await world.signalRunner(subject.group, subject.runner, [anInstanceDeath(subject.runner)]);
    },
  },
  'lost its instance while idle': {
    act: ({ group, runner }) => world.signalRunner(group, runner, [anInstanceDeath(runner)]),
  },
  'reached its time to live in the middle of its job': { settings: { timeToLiveMs: 10_000 }, act: start },
  'was cancelled in the middle of its job': {
    act: async (subject) => {
      await start(subject);
      await handle(subject).cancel();
    },
  },
};

/** Steps in which a job may be running or start: only the forge knows. */
const UNSURE: string[] = [
  'was asked to retire while idle',
  'was idle for its time to start',
  'is due for renewal while idle',
  'registered and never came online',
];
/** Its hook or its program says that its job is over, but an instance is there that could still run it. */
const OVER: string[] = ['completed its job, and no webhook says so', 'crashed in the middle of its job'];

interface AnswerKind {
  answer: RemovalAnswer;
  /** What is left where a job may run, where it is over, and where nothing can run any more. */
  ends: { unsure: End; over: End; certain: End };
}

const GONE: AnswerKind['ends'] = { unsure: 'gone', over: 'gone', certain: 'gone' };
const BUSY: AnswerKind['ends'] = { unsure: 'kept', over: 'kept', certain: 'lingering' };
const REFUSED: AnswerKind['ends'] = { unsure: 'lingering', over: 'lingering', certain: 'lingering' };
const SILENT: AnswerKind['ends'] = { unsure: 'kept', over: 'lingering', certain: 'lingering' };

const ANSWERS: Record<string, AnswerKind> = {
  'removes it': { answer: { find: 'found' }, ends: GONE },
  'has none': { answer: { find: 'none' }, ends: GONE },
  'calls it busy': { answer: { find: 'found busy' }, ends: BUSY },
  'refuses with 403': { answer: { find: 403, message: 'Resource not accessible by integration' }, ends: REFUSED },
  'refuses with 404': { answer: { find: 404, message: 'Not Found' }, ends: REFUSED },
  'is out of order (503)': { answer: { find: 503 }, ends: SILENT },
};

async function makeSubject(step: Omit<Step, 'act'>, answer: RemovalAnswer): Promise<Subject> {
  const group = freshName('removal');
  forge.answers.set(group, answer);
  const { online = true, settings } = step;
  await world.start(aGroup(group, { scope: { organization: group }, max: 1, ...settings }));
  jobs += 1;
  const jobId = jobs;
  if ((settings?.min ?? 0) === 0) await world.signal(group, [{ type: 'job', job: aJob('queued', jobId) }]);
  const runner = await world.firstRunner(group);
  const subject = { group, runner, jobId };
  await handle(subject).executeUpdate<void, []>(REGISTER_RUNNER);
  if (online) await world.signalRunner(group, runner, [aRunnerSignal(runner, 'online')]);
  return subject;
}

async function findPhase(subject: Subject): Promise<unknown> {
  return (await handle(subject).describe()).searchAttributes['BatonPhase']?.[0];
}

/** Waits until nothing of it is left, or only its registration, or until the forge was asked and nothing has changed. */
async function findEnd(subject: Subject, expected: End): Promise<End> {
  const { group, runner } = subject;
  if (expected === 'kept') {
    await until(() => forge.calls.includes(`GET ${group}`), { what: `the forge was asked about ${runner}` });
    await until(async () => expect((await world.getStatus(group)).ready).toBe(0));
    return world.edges(group).deleted.includes(runner) ? 'gone' : 'kept';
  }
  await until(() => world.edges(group).deleted.includes(runner), { what: `the instance of ${runner} is gone` });
  // Its registration may take a moment longer.
  await until(async () => {
    const { status } = await handle(subject).describe();
    const end = status.name === 'RUNNING' ? await findPhase(subject) : 'gone';
    expect(end).toBe(expected);
  });
  return expected;
}

async function endSubject(
  [name, step]: [string, Step],
  { answer, ends }: AnswerKind,
): Promise<[found: End, expected: End]> {
  const expected = UNSURE.includes(name) ? ends.unsure : OVER.includes(name) ? ends.over : ends.certain;
  const subject = await makeSubject(step, answer);
  const { group, runner, jobId } = subject;
  await step.act(subject);
  const found = await findEnd(subject, expected);
  // The slot belongs to the instance: the next job's runner starts although max is 1 and a registration may be left.
  await world.signal(group, [{ type: 'job', job: aJob('queued', jobId + 100_000) }]);
  if (expected === 'kept') expect(world.edges(group).created).toEqual([runner]);
  else await until(() => expect(world.edges(group).created.length).toBeGreaterThan(1));
  return [found, expected];
}

describe.each(Object.keys(STEPS))('a runner that %s', (name) => {
  it.each(Object.keys(ANSWERS))('where the forge %s', async (answer) => {
    const [found, expected] = (await ended.get(`${name} ${answer}`)) ?? [];
    expect(found).toBe(expected);
  });
});

describe.concurrent('a registration that reaches the forge after it has answered that there is none', () => {
  /**
   * A runner that did not come online: the forge has just said that it knows none. It will be removed after the same time as its time to
   * start, in which the test must have said what happens.
   */
  async function makeLate(): Promise<Subject> {
    const subject = await makeSubject({ online: false, settings: { timeToStartMs: 10_000 } }, { find: 'none' });
    const { group, runner } = subject;
    await until(() => forge.calls.includes(`GET ${group}`), { what: `the forge was asked about ${runner}` });
    return subject;
  }

  it('is removed all the same', async () => {
    const subject = await makeLate();
    const { group, runner } = subject;
    forge.answers.set(group, { find: 'found' });
    await until(async () => (await handle(subject).describe()).status.name !== 'RUNNING', {
      what: `${runner} is over`,
    });
    expect(forge.calls).toContain(`DELETE ${group}`);
  });

  it('may already serve a job: its runner is not removed', async () => {
    const subject = await makeLate();
    const { group, runner } = subject;
    forge.answers.set(group, { find: 'found busy' });
    await world.signalRunner(group, runner, [aRunnerSignal(runner, 'online')]);
    await until(() => forge.calls.filter((call) => call === `GET ${group}`).length > 1, { what: 'it is asked again' });
    // Now it says so: until then, only the forge knew.
    await start(subject);
    await until(async () => expect(await findPhase(subject)).toBe('busy'));
    expect(world.edges(group).deleted).toEqual([]);
  });

  it('is removed before the instance of its idle runner', async () => {
    const subject = await makeLate();
    const { group, runner } = subject;
    forge.answers.set(group, { find: 'found' });
    let wasUnregistered: boolean | undefined;
    world.edges(group).remove = () => {
      wasUnregistered ??= forge.calls.includes(`DELETE ${group}`);
      return Promise.resolve();
    };
    await world.signalRunner(group, runner, [aRunnerSignal(runner, 'online')]);
    await until(() => expect(world.edges(group).deleted).toEqual([runner]));
    expect(wasUnregistered).toBe(true);
  });
});
