import { basename } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { temporaryFolder } from '../../support/cleanup.ts';
import { describeUnless } from '../../support/describe-unless.ts';
import { until } from '../../support/until.ts';
import { expectExit, startActionRunner, type ActionRunnerProcess } from './action-runner-process.ts';
import { startKubernetes, type FakeKubernetes } from './kubernetes.ts';

/** What the suite needs to test an ActionRunner. */
export interface ActionRunnerCandidate {
  /** An action that prints `hello from NAME` and succeeds; `name` is its context name. */
  succeeds(name: string): unknown;
  /** An action that ends without success, and its report's message. */
  fails(name: string): { input: unknown; message: RegExp };
  /** An action that runs until it is ended. */
  lasts(name: string): unknown;
  /** An action that cannot be started, and its report's message. */
  unstartable(name: string): { input: unknown; message: RegExp };
  /** An input with one wrong field, and the field's name. */
  wrong(name: string): { input: unknown; field: string };
  /** A context name. Default: any. */
  newName?(): string;
  env?: Record<string, string>;
  /** What the action of that name left behind: processes, containers, running workflows. */
  left(name: string): Promise<string[]>;
  /** What an action prints after it was ended at SIGTERM. */
  lastWords?: string;
  stop(): Promise<void>;
}

/** An ActionRunner whose actions outlive a Manager that is killed. */
export interface LastingActionRunnerCandidate extends ActionRunnerCandidate {
  /** How often the action of that name has been started. */
  starts(name: string): Promise<number>;
  /** Lets {@link ActionRunnerCandidate.lasts} succeed. */
  finish(name: string): Promise<void>;
}

/**
 * What every ActionRunner promises, through `baton action-runner`: a process, a manifest, the environment, a ConfigMap.
 *
 * @param prepare makes the candidate; `lasting` where its actions outlive a Manager that is killed
 * @param absent why this machine lacks what it needs, where it does
 */
export function actionRunnerContract(
  runner: string,
  prepare: { short: () => Promise<ActionRunnerCandidate> } | { lasting: () => Promise<LastingActionRunnerCandidate> },
  absent?: string,
): void {
  describeUnless(absent, `action runner ${basename(runner)}`, () => {
    const folder = temporaryFolder('action');
    let kubernetes: FakeKubernetes;
    let candidate: ActionRunnerCandidate;
    let lasting: LastingActionRunnerCandidate | undefined;
    const running = new Set<ActionRunnerProcess>();

    beforeAll(async () => {
      kubernetes = await startKubernetes();
      if ('short' in prepare) candidate = await prepare.short();
      else candidate = lasting = await prepare.lasting();
    });

    afterAll(async () => {
      for (const command of running) command.child.kill('SIGKILL');
      await candidate?.stop();
      await kubernetes?.close();
      folder.remove();
    });

    function newName(): string {
      return candidate.newName?.() ?? `a-${crypto.randomUUID().slice(0, 8)}`;
    }

    function run(name: string, input: unknown, env: Record<string, string> = {}): ActionRunnerProcess {
      const command = startActionRunner(runner, {
        folder: folder.path,
        input,
        name,
        args: ['--reporter', 'kubernetes-configmap'],
        env: { ...kubernetes.env, ...candidate.env, ...env },
      });
      running.add(command);
      void command.exited.then(() => running.delete(command));
      return command;
    }

    async function untilRunning(name: string): Promise<void> {
      await until(() => expect(kubernetes.findStatuses(name)).toMatchObject([{ state: 'running' }]));
    }

    async function expectNothingLeft(name: string): Promise<void> {
      await until(async () => expect(await candidate.left(name)).toEqual([]));
    }

    it('runs an action to its end, prints its output, and reports its start and its end', async () => {
      const name = newName();
      const command = run(name, candidate.succeeds(name));
      await expectExit(command, 0);
      expect(command.output()).toContain(`hello from ${name}`);
      expect(kubernetes.findStatuses(name)).toMatchObject([
        { state: 'running', status: expect.any(Object) },
        { state: 'succeeded', message: expect.any(String), logTail: expect.stringContaining(`hello from ${name}`) },
      ]);
      await expectNothingLeft(name);
    });

    it('reports why an action failed', async () => {
      const name = newName();
      const { input, message } = candidate.fails(name);
      const command = run(name, input);
      await expectExit(command, 1);
      expect(kubernetes.findStatuses(name).at(-1)).toMatchObject({
        state: 'failed',
        message: expect.stringMatching(message),
      });
      await expectNothingLeft(name);
    });

    it('reports why an action cannot be started', async () => {
      const name = newName();
      const { input, message } = candidate.unstartable(name);
      const command = run(name, input);
      await expectExit(command, 1);
      expect(kubernetes.findStatuses(name)).toMatchObject([
        { state: 'failed', message: expect.stringMatching(message) },
      ]);
      await expectNothingLeft(name);
    });

    it('starts nothing with a wrong input, and names the wrong field but not its value', async () => {
      const name = newName();
      const { input, field } = candidate.wrong(name);
      const command = run(name, input);
      await expectExit(command, 1);
      expect(kubernetes.findStatuses(name)).toMatchObject([
        { state: 'failed', message: expect.stringContaining(field) },
      ]);
      expect(command.log()).toContain('INPUT_INVALID');
      await expectNothingLeft(name);
    });

    it('ends an action at RUNNER_TIMEOUT, and leaves nothing behind', async () => {
      const name = newName();
      const command = run(name, candidate.lasts(name), { RUNNER_TIMEOUT: '3s' });
      await expectExit(command, 1);
      expect(kubernetes.findStatuses(name).at(-1)).toMatchObject({ state: 'timed-out' });
      await expectNothingLeft(name);
    });

    it('ends an action at SIGTERM, and leaves nothing behind', async () => {
      const name = newName();
      const command = run(name, candidate.lasts(name));
      await untilRunning(name);
      command.child.kill('SIGTERM');
      await expectExit(command, 1);
      expect(kubernetes.findStatuses(name)).toMatchObject([{ state: 'running' }, { state: 'stopped' }]);
      const logTail: unknown = expect.stringContaining(candidate.lastWords ?? '');
      expect(kubernetes.findStatuses(name).at(-1)).toMatchObject({ logTail });
      await expectNothingLeft(name);
    });

    if ('short' in prepare) return;

    it('continues an action whose Manager was killed, and does not start it twice', async () => {
      const name = newName();
      const killed = run(name, candidate.lasts(name));
      await untilRunning(name);
      killed.child.kill('SIGKILL');
      await killed.exited;
      const next = run(name, candidate.lasts(name));
      await until(() => expect(kubernetes.findStatuses(name)).toHaveLength(2));
      await lasting?.finish(name);
      await expectExit(next, 0);
      expect(await lasting?.starts(name)).toBe(1);
      await expectNothingLeft(name);
    });
  });
}
