import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { getErrorMessage } from '../../../contracts/errors.ts';

const values = z.record(z.string(), z.string());

const schema = z.object({
  version: z.literal(1),
  /** Wrappers whose post must run, in the order in which their first phase started. The last one is popped first. */
  stack: z.array(z.string()),
  /** What each wrapper saved for its later phases. */
  states: z.record(z.string(), values),
  /** The outputs of each wrapper. Nothing reads them but people who look for the cause of a problem. */
  outputs: z.record(z.string(), values),
  /** A strict hook failed before the job's first step. */
  failed: z.boolean(),
});

type Content = z.infer<typeof schema>;

const EMPTY: Content = { version: 1, stack: [], states: {}, outputs: {}, failed: false };

/**
 * What the completed hook needs from the started hook. It is written to disk before a phase runs, so that a hook that
 * is killed loses no post.
 */
export class HookState {
  readonly #file: string;
  #content: Content;

  private constructor(file: string, content: Content) {
    this.#file = file;
    this.#content = content;
  }

  /** Starts with an empty state, for a new job. */
  static async begin(file: string): Promise<HookState> {
    const state = new HookState(file, structuredClone(EMPTY));
    await state.#save();
    return state;
  }

  /** Reads what the started hook left. @returns `problem` if it cannot be read: then no post is known */
  static async resume(file: string): Promise<{ state: HookState; problem?: string }> {
    try {
      return { state: new HookState(file, schema.parse(JSON.parse(await readFile(file, 'utf8')))) };
    } catch (error) {
      const state = new HookState(file, structuredClone(EMPTY));
      return {
        state,
        problem: `the state of the started hook cannot be read: ${getErrorMessage(error).split('\n')[0]}`,
      };
    }
  }

  get failed(): boolean {
    return this.#content.failed;
  }

  getSavedState(id: string): Readonly<Record<string, string>> {
    return this.#content.states[id] ?? {};
  }

  /** Call this right before a wrapper's pre or main runs. A second call changes nothing. */
  async push(id: string): Promise<void> {
    if (this.#content.stack.includes(id)) return;
    this.#content.stack.push(id);
    await this.#save();
  }

  /** Removes and returns the wrapper whose post is next, so that no post runs twice. */
  async pop(): Promise<string | undefined> {
    const id = this.#content.stack.pop();
    if (id !== undefined) await this.#save();
    return id;
  }

  async saveOutput(
    id: string,
    output: { state: ReadonlyMap<string, string>; outputs: ReadonlyMap<string, string> },
  ): Promise<void> {
    if (output.state.size + output.outputs.size === 0) return;
    this.#content.states[id] = { ...this.#content.states[id], ...Object.fromEntries(output.state) };
    this.#content.outputs[id] = { ...this.#content.outputs[id], ...Object.fromEntries(output.outputs) };
    await this.#save();
  }

  async markFailed(): Promise<void> {
    this.#content.failed = true;
    await this.#save();
  }

  async #save(): Promise<void> {
    const next = `${this.#file}.next`;
    await writeFile(next, JSON.stringify(this.#content), { mode: 0o600 });
    await rename(next, this.#file);
  }
}
