import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { loadAction, ACTION_PHASES } from './action-file.ts';
import type { PhaseOutput } from './environment-files.ts';
import { isConditionMet, type StepsStatus } from './expression.ts';
import { toActionExpressionScope } from './phase-command.ts';
import { runPhase } from './run-phase.ts';
import type { Wrapper } from './wrapper.ts';

export interface StandaloneResult {
  succeeded: boolean;
  /** One clause each. */
  problems: string[];
  outputs: Record<string, string>;
}

/**
 * Runs one action by itself, without a job: its pre, its main, and always its post.
 *
 * @param options.timeoutMs of each phase
 * @param options.signal ends the current phase; the post still runs
 * @throws BatonError WRAPPER_INVALID
 */
export async function runWrapperAction(options: {
  folder: string;
  inputs: Record<string, string>;
  env: Record<string, string>;
  timeoutMs: number;
  signal: AbortSignal;
  onOutput: (line: string) => void;
}): Promise<StandaloneResult> {
  const action = await loadAction(options.folder);
  const wrapper: Wrapper = {
    id: 'wrapper',
    uses: options.folder,
    with: options.inputs,
    env: {},
    timeoutMs: options.timeoutMs,
    builtIn: undefined,
    action,
  };
  const folder = await mkdtemp(join(tmpdir(), 'baton-wrapper-'));
  const problems: string[] = [];
  const env = { ...options.env };
  let state: Record<string, string> = {};
  let outputs: Record<string, string> = {};
  let hasStarted = false;
  const apply = (output: PhaseOutput): void => {
    state = { ...state, ...Object.fromEntries(output.state) };
    outputs = { ...outputs, ...Object.fromEntries(output.outputs) };
    Object.assign(env, Object.fromEntries(output.env));
    if (output.path.length > 0) env['PATH'] = [...output.path.toReversed(), env['PATH'] ?? ''].join(delimiter);
  };
  const status = (): StepsStatus => {
    if (options.signal.aborted) return 'cancelled';
    return problems.length > 0 ? 'failure' : 'success';
  };
  try {
    for (const phase of ACTION_PHASES) {
      if (action.phases[phase] === undefined || (phase === 'post' && !hasStarted)) continue;
      const input = { wrapper, phase, env, state, status: status() };
      const condition = phase === 'main' ? 'success()' : action.conditions[phase];
      if (!isConditionMet(condition, toActionExpressionScope(input))) continue;
      hasStarted = true;
      const abort = phase === 'post' ? new AbortController().signal : options.signal;
      const { output, problem } = await runPhase(input, { folder, print: options.onOutput, abort });
      apply(output);
      problems.push(...output.problems);
      if (problem !== undefined) problems.push(problem);
    }
    return { succeeded: problems.length === 0, problems, outputs };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
