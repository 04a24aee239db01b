import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { messageOf } from '../../../contracts/errors.ts';

const values = z.record(z.string(), z.string());

const schema = z.object({
  version: z.literal(1),
  /** Wrappers whose pre or main was about to run, in that order: their posts are popped from its end. */
  stack: z.array(z.string()),
  /** What each wrapper saved for its later phases. */
  states: z.record(z.string(), values),
  /** What each put out: kept apart, and for nobody but people who look for a reason. */
  outputs: z.record(z.string(), values),
  /** A strict hook failed before the job's first step. */
  failed: z.boolean(),
});

type Content = z.infer<typeof schema>;

const EMPTY: Content = { version: 1, stack: [], states: {}, outputs: {}, failed: false };

/**
 * What must outlive a hook's process: on disk before anything is run that needs it, so that a hook that is killed in between
 * loses none of the posts.
 */
export class HookState {
  readonly #file: string;
  #content: Content;

  private constructor(file: string, content: Content) {
    this.#file = file;
    this.#content = content;
  }

  /** For a new job: nothing of an earlier one. */
  static async begin(file: string): Promise<HookState> {
    const state = new HookState(file, structuredClone(EMPTY));
    await state.#save();
    return state;
  }

  /** What the started hook left. @returns with `problem` where that can't be read: then no post is known */
  static async resume(file: string): Promise<{ state: HookState; problem?: string }> {
    try {
      return { state: new HookState(file, schema.parse(JSON.parse(await readFile(file, 'utf8')))) };
    } catch (error) {
      const state = new HookState(file, structuredClone(EMPTY));
      return { state, problem: `the started hook’s state is not readable: ${messageOf(error).split('\n')[0]}` };
    }
  }

  get failed(): boolean {
    return this.#content.failed;
  }

  getSavedState(id: string): Readonly<Record<string, string>> {
    return this.#content.states[id] ?? {};
  }

  /** To be called right before a wrapper's pre or main runs; the second time it changes nothing. */
  async push(id: string): Promise<void> {
    if (this.#content.stack.includes(id)) return;
    this.#content.stack.push(id);
    await this.#save();
  }

  /** The wrapper whose post is next, taken off: a post is never run twice. */
  async pop(): Promise<string | undefined> {
    const id = this.#content.stack.pop();
    if (id !== undefined) await this.#save();
    return id;
  }

  async keep(
    id: string,
    said: { state: ReadonlyMap<string, string>; outputs: ReadonlyMap<string, string> },
  ): Promise<void> {
    if (said.state.size + said.outputs.size === 0) return;
    this.#content.states[id] = { ...this.#content.states[id], ...Object.fromEntries(said.state) };
    this.#content.outputs[id] = { ...this.#content.outputs[id], ...Object.fromEntries(said.outputs) };
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
