import { readFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { resolvedHooks } from '../../../contracts/messages/bootstrap-file.ts';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { ResolvedHooks } from '../../../contracts/workflows/hook-settings.ts';
import type { ActionPhase } from './action-file.ts';
import { appendEnv, appendText, type PhaseOutput } from './environment-files.ts';
import { isConditionMet, type StepsStatus } from './expression.ts';
import { HookLog } from './hook-log.ts';
import { HookState } from './hook-state.ts';
import { readJobStatus } from './job-status.ts';
import { findMissingInputs, toActionExpressionScope } from './phase-command.ts';
import { runPhase } from './run-phase.ts';
import { findDeprecation, describePhaseFile, loadWrapper, type Wrapper } from './wrapper.ts';
import { nameWrongFields } from '../../../contracts/lib/schema-errors.ts';

/**
 * Runs one of the two hooks without its signal: applies the group's settings, and runs its wrappers.
 *
 * @param settings path of the file with the group's hook settings
 * @returns whether the job must fail
 * @throws BatonError CONFIG_INVALID if the settings cannot be read
 */
export async function runGroupHook(kind: 'started' | 'completed', settings: string): Promise<{ failed: boolean }> {
  const hooks = await readSettings(settings);
  const hook = new Hook(hooks, dirname(settings), new HookLog(hooks.policy, process.env));
  await (kind === 'started' ? hook.started() : hook.completed());
  return { failed: hook.failed };
}

async function readSettings(file: string): Promise<ResolvedHooks> {
  // Errors do not quote the content: it may be a secret.
  const json = await readFile(file, 'utf8').then(
    (text): unknown => JSON.parse(text),
    () => undefined,
  );
  const parsed = resolvedHooks.safeParse(json);
  if (parsed.success) return parsed.data;
  const fields = nameWrongFields(parsed.error, '(file)');
  throw new BatonError('CONFIG_INVALID', `reading hook settings ${file}: wrong or missing: ${fields}`);
}

/** The phases of a hook run to their end or their timeout: nothing aborts them. */
const NEVER = new AbortController().signal;

class Hook {
  readonly #hooks: ResolvedHooks;
  readonly #folder: string;
  readonly #log: HookLog;
  /** This process's environment with what wrappers added. The forge's runner applies that only after the hook. */
  readonly #env: Record<string, string>;

  constructor(hooks: ResolvedHooks, folder: string, log: HookLog) {
    this.#hooks = hooks;
    this.#folder = folder;
    this.#log = log;
    const variables = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
    this.#env = Object.fromEntries(variables);
  }

  get failed(): boolean {
    return this.#log.failed;
  }

  /** Runs every pre in order, then every main. Puts a post on the stack before its wrapper's first phase runs. */
  async started(): Promise<void> {
    const log = this.#log;
    const hooks = this.#hooks;
    for (const secret of hooks.secrets) log.mask(secret);
    await this.#applySettings();
    const state = await HookState.begin(join(this.#folder, 'state.json'));
    const wrappers = await this.#load(state);
    // What has no phase before the job still has one after it.
    for (const { id, action } of wrappers) if (isOnlyPost(action.phases)) await state.push(id);
    const failedWrappers = new Set<string>();
    for (const phase of ['pre', 'main'] as const) {
      for (const wrapper of wrappers) {
        if (wrapper.action.phases[phase] === undefined || failedWrappers.has(wrapper.id)) continue;
        // A strict hook that failed makes the job a failed one: only phases whose condition allows that still run.
        const status = log.failed ? 'failure' : 'success';
        const condition = phase === 'pre' ? wrapper.action.conditions.pre : 'success()';
        if (!(await this.#run(wrapper, phase, { state, status, condition }))) failedWrappers.add(wrapper.id);
      }
    }
    if (log.failed) await state.markFailed();
  }

  /** Pops and runs every post, whatever failed before. */
  async completed(): Promise<void> {
    const log = this.#log;
    const hooks = this.#hooks;
    for (const secret of hooks.secrets) log.mask(secret);
    const { state, problem } = await HookState.resume(join(this.#folder, 'state.json'));
    const isAnyRequired = hooks.wrappers.some(({ required }) => required === true);
    if (problem !== undefined) log.fail(`${problem}; no post of a wrapper is run`, isAnyRequired);
    const status: StepsStatus = state.failed ? 'failure' : readJobStatus();
    log.debug(`Baton: job status: ${status}`);
    for (let id = await state.pop(); id !== undefined; id = await state.pop()) {
      const settings = hooks.wrappers.find((one) => one.id === id);
      if (settings === undefined) {
        log.fail(`wrapper ${id} is no longer in the group’s settings: its post is not run`);
        continue;
      }
      try {
        const wrapper = await loadWrapper(settings);
        await this.#run(wrapper, 'post', { state, status, condition: wrapper.action.conditions.post });
      } catch (error) {
        log.fail(`wrapper ${id}: ${getErrorMessage(error)}`, settings.required);
      }
    }
  }

  /** Applies the group's variables, folders and notices. */
  async #applySettings(): Promise<void> {
    const log = this.#log;
    const hooks = this.#hooks;
    for (const notice of hooks.notices) log.notice(notice);
    try {
      await this.#passOn({ env: new Map(Object.entries(hooks.env)), path: hooks.path, summary: '' });
    } catch (error) {
      log.fail(`the group’s env and path could not be passed to the job: ${getErrorMessage(error)}`);
    }
    const names = Object.keys(hooks.env);
    if (names.length > 0) log.debug(`Baton: the group sets ${names.join(', ')}`);
    if (hooks.path.length > 0) log.debug(`Baton: the group adds to PATH: ${hooks.path.join(', ')}`);
  }

  async #load(state: HookState): Promise<Wrapper[]> {
    const log = this.#log;
    const wrappers: Wrapper[] = [];
    for (const settings of this.#hooks.wrappers) {
      try {
        const wrapper = await loadWrapper(settings);
        const advice = findDeprecation(wrapper);
        if (advice !== undefined) log.warn(advice);
        const missing = findMissingInputs(wrapper);
        if (missing.length > 0)
          log.warn(`wrapper ${wrapper.id} has no value for its required inputs: ${missing.join(', ')}`);
        wrappers.push(wrapper);
      } catch (error) {
        log.fail(`wrapper ${settings.id}: ${getErrorMessage(error)}`, settings.required);
      }
    }
    if (log.failed) await state.markFailed();
    return wrappers;
  }

  /** Runs one phase of a wrapper. @returns false if it failed */
  async #run(
    wrapper: Wrapper,
    phase: ActionPhase,
    { state, status, condition }: { state: HookState; status: StepsStatus; condition: string },
  ): Promise<boolean> {
    const log = this.#log;
    const env = this.#env;
    const { id, action, required } = wrapper;
    try {
      if (!isConditionMet(condition, toActionExpressionScope({ wrapper, env, status }))) {
        log.print(`Wrapper ${id}: skipped ${phase} (${condition})`);
        return true;
      }
      if (phase !== 'post' && action.phases.post !== undefined) await state.push(id);
      log.section(`Wrapper ${id}: ${phase}`, [
        describePhaseFile(wrapper, phase),
        `timeout: ${wrapper.timeoutMs / 1000} s`,
      ]);
      const input = { wrapper, phase, env, state: state.getSavedState(id), status };
      const { output, problem } = await runPhase(input, {
        folder: this.#folder,
        print: (line) => log.print(line),
        abort: NEVER,
      });
      for (const one of output.problems) log.warn(`wrapper ${id}: ${one}`);
      await state.saveOutput(id, output);
      await this.#passOn(output);
      if (output.outputs.size > 0) log.debug(`Baton: outputs of ${id}: ${[...output.outputs.keys()].join(', ')}`);
      if (problem !== undefined) log.fail(problem, required);
      return problem === undefined;
    } catch (error) {
      log.fail(`wrapper ${id}: its ${phase}: ${getErrorMessage(error)}`, required);
      return false;
    }
  }

  /** Passes variables, folders and a summary to the job, and to the wrappers that still run. */
  async #passOn({ env, path, summary }: Pick<PhaseOutput, 'env' | 'path' | 'summary'>): Promise<void> {
    Object.assign(this.#env, Object.fromEntries(env));
    if (path.length > 0) this.#env['PATH'] = [...path.toReversed(), this.#env['PATH'] ?? ''].join(delimiter);
    await appendEnv(env, process.env['GITHUB_ENV']);
    await appendText(path.join('\n'), process.env['GITHUB_PATH']);
    await appendText(summary, process.env['GITHUB_STEP_SUMMARY']);
  }
}

const isOnlyPost = ({ pre, main, post }: Wrapper['action']['phases']): boolean =>
  pre === undefined && main === undefined && post !== undefined;
