import type { HookPolicy } from '../../../contracts/workflows/hook-settings.ts';
import { escapeMessage, toAnnotation } from '../../lib/workflow-command.ts';

/** What a hook says in its step of the job's log. */
export class HookLog {
  readonly #policy: HookPolicy;
  readonly #isDebug: boolean;
  #failures = 0;

  constructor(policy: HookPolicy, env: NodeJS.ProcessEnv) {
    this.#policy = policy;
    this.#isDebug = env['RUNNER_DEBUG'] === '1' || env['ACTIONS_STEP_DEBUG'] === 'true';
  }

  /** Whether the job is to fail. */
  get failed(): boolean {
    return this.#failures > 0 && this.#policy === 'strict';
  }

  print(line: string): void {
    process.stdout.write(`${line}\n`);
  }

  debug(text: string): void {
    if (this.#isDebug) this.print(`::debug::${escapeMessage(text)}`);
  }

  notice(text: string): void {
    this.print(toAnnotation('notice', text));
  }

  warn(text: string): void {
    this.print(toAnnotation('warning', `Baton: ${text}`));
  }

  mask(value: string): void {
    for (const line of value.split('\n')) if (line.trim() !== '') this.print(`::add-mask::${escapeMessage(line)}`);
  }

  /** A line that opens, then what belongs to it, folded. */
  section(title: string, lines: readonly string[]): void {
    this.print(`::group::${escapeMessage(title)}`);
    for (const line of lines) this.print(line);
    this.print('::endgroup::');
  }

  /** By the group's policy an error that fails the job and says what to do, or a warning. */
  fail(problem: string): void {
    this.#failures += 1;
    if (this.#policy === 'lenient') {
      this.warn(problem);
      return;
    }
    const todo =
      'What to do: read its output in this step. This runner group’s hooks are strict (hooks.policy): its administrators mend the wrapper, or make them lenient.';
    this.print(toAnnotation('error', `${problem}. ${todo}`, 'Baton: a job hook failed'));
  }
}
