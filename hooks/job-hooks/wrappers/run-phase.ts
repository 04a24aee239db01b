import { getErrorMessage } from '../../../contracts/errors.ts';
import { runChild, type ChildResult, type ChildCommand } from './child.ts';
import { CommandFilter } from './command-filter.ts';
import { EnvironmentFiles, type PhaseOutput } from './environment-files.ts';
import { buildPhaseCommand, type PhaseInput } from './phase-command.ts';

export interface PhaseResult {
  /** One clause for people; undefined if the phase succeeded. */
  problem: string | undefined;
  output: PhaseOutput;
}

/**
 * Runs one phase of one wrapper to its end or its timeout. Never rejects: a failure concerns this wrapper only.
 *
 * @param options.folder where its environment files are created
 * @param options.print receives its output, without the commands for Baton
 */
export async function runPhase(
  input: Omit<PhaseInput, 'files'>,
  options: { folder: string; print: (line: string) => void; abort: AbortSignal },
): Promise<PhaseResult> {
  const { wrapper, phase } = input;
  let files: EnvironmentFiles;
  let command: ChildCommand;
  try {
    files = await EnvironmentFiles.create(options.folder);
    command = await buildPhaseCommand({ ...input, files });
  } catch (error) {
    return { problem: getErrorMessage(error), output: createEmptyOutput() };
  }
  const state = new Map<string, string>();
  const outputs = new Map<string, string>();
  const filter = new CommandFilter(options.print, {
    saveState: (name, value) => state.set(name, value),
    setOutput: (name, value) => outputs.set(name, value),
  });
  let problem: string | undefined;
  try {
    const result = await runChild(command, {
      timeoutMs: wrapper.timeoutMs,
      abort: options.abort,
      onLine: (line) => filter.line(line),
    });
    problem = describeProblem(result, wrapper.timeoutMs);
  } catch (error) {
    problem = `could not be started: ${getErrorMessage(error)}`;
  }
  filter.end();
  const written = await files.take().catch(() => createEmptyOutput());
  return {
    problem: problem === undefined ? undefined : `wrapper ${wrapper.id}: its ${phase} ${problem}`,
    output: {
      ...written,
      state: new Map([...state, ...written.state]),
      outputs: new Map([...outputs, ...written.outputs]),
    },
  };
}

function describeProblem(result: ChildResult, timeoutMs: number): string | undefined {
  switch (result.how) {
    case 'exited':
      return result.code === 0 ? undefined : `ended with code ${result.code}`;
    case 'killed':
      return `was ended by ${result.signal}`;
    case 'timeout':
      return `did not end within ${timeoutMs / 1000} s and was stopped`;
    case 'aborted':
      return 'was stopped';
    default:
      return result satisfies never;
  }
}

function createEmptyOutput(): PhaseOutput {
  return { env: new Map(), path: [], outputs: new Map(), state: new Map(), summary: '', problems: [] };
}
