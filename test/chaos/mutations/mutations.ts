import type { Problem } from '../checker.ts';

/** A known-bad change of the code, which must be noticed. */
export interface Mutation {
  name: string;
  file: string;
  /** Text that is in the file exactly once… */
  find: string;
  /** …and what stands there instead. */
  replacement: string;
  /** The promises that it breaks, of which chaos must find one; or the test that finds it where chaos would need luck. */
  caughtBy: { rules: readonly Problem['rule'][] } | { file: string; title: string };
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'skip an ack: the relay acknowledges nine of ten messages',
    file: 'services/relay/acknowledgement.ts',
    find: 'result = await work(message);\n      message.ack();',
    replacement: 'result = await work(message);\n      if (message.sequence % 10 !== 0) message.ack();',
    caughtBy: { rules: ['messages left'] },
  },
  {
    name: 'drop an event: the dispatcher ignores that a runner is gone',
    file: 'workflows/dispatcher/actor.ts',
    find: 'demand.removeRunner(event.outcome, Date.now());',
    replacement: '',
    caughtBy: { rules: ['job waited too long', 'job ran once', 'the run did not end'] },
  },
  {
    name: 'count a leaving runner as ready',
    file: 'workflows/dispatcher/known-runner.ts',
    find: 'ready: runners.size - busy - leaving }',
    replacement: 'ready: runners.size - busy }',
    caughtBy: { rules: ['job waited for a leaving runner'] },
  },
  {
    name: 'free a slot early: before the instance is gone',
    file: 'workflows/runner/removal.ts',
    find: 'const [gone] = await Promise.all([removeInstance(',
    replacement: 'await this.#reportGone();\n      const [gone] = await Promise.all([removeInstance(',
    // An instance usually ends faster than the next one begins.
    caughtBy: {
      file: 'test/integration/workflows/leaving.test.ts',
      title: 'stays counted towards max until its instance is gone',
    },
  },
];

/**
 * Applies a mutation to a file's text.
 *
 * @throws Error where the code has changed, so that the mutation no longer fits
 */
export function mutate(text: string, { name, file, find, replacement }: Mutation): string {
  const parts = text.split(find);
  if (parts.length !== 2) throw new Error(`"${name}": its text is ${parts.length - 1} times in ${file}, not once`);
  return parts.join(replacement);
}
