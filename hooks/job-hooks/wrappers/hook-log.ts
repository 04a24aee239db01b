import type { HookPolicy } from '../../../contracts/workflows/hook-settings.ts';
import { escapeMessage, toAnnotation } from '../../lib/workflow-command.ts';

/** Writes a hook's messages to its step in the job's log. */
export class HookLog {
  readonly #policy: HookPolicy;
  readonly #isDebug: boolean;
  #failed = false;

  constructor(policy: HookPolicy, env: NodeJS.ProcessEnv) {
    this.#policy = policy;
    this.#isDebug = env['RUNNER_DEBUG'] === '1' || env['ACTIONS_STEP_DEBUG'] === 'true';
  }

  /** Whether the job must fail. */
  get failed(): boolean {
    return this.#failed;
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

  /** A folded section: a title, and the lines that it opens to. */
  section(title: string, lines: readonly string[]): void {
    this.print(`::group::${escapeMessage(title)}`);
    for (const line of lines) this.print(line);
    this.print('::endgroup::');
  }

  /**
   * Depending on the group's policy: an error that fails the job and says what to do, or a warning.
   *
   * @param isRequired it fails the job whatever the policy
   */
  fail(problem: string, isRequired = false): void {
    if (this.#policy === 'lenient' && !isRequired) {
      this.warn(problem);
      return;
    }
    this.#failed = true;
    const help = isRequired
      ? 'What to do: see the output of this step. The administrators of this runner group require this hook, so that its failure also fails the job. They can fix it.'
      : 'What to do: see the output of this step. This runner group has strict hooks (hooks.policy: strict), so a hook that fails also fails the job. The administrators of the group can fix the wrapper, or set the policy to lenient.';
    this.print(toAnnotation('error', `${problem}. ${help}`, 'Baton: a job hook failed'));
  }
}
