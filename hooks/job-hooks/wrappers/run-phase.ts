import { messageOf } from '../../../contracts/errors.ts';
import { runChild, type ChildResult, type ChildCommand } from './child.ts';
import { CommandFilter } from './command-filter.ts';
import { EnvironmentFiles, type PhaseOutput } from './environment-files.ts';
import { buildPhaseCommand, type PhaseInput } from './phase-command.ts';

export interface PhaseResult {
  /** One clause for a person; undefined where it went well. */
  problem: string | undefined;
  said: PhaseOutput;
}

/**
 * Runs one phase of one wrapper to its end, or to its time bound. Never rejects: whatever goes wrong is this wrapper's alone.
 *
 * @param options.folder where its files are made
 * @param options.print takes its output, less what was for us
 */
export async function runPhase(
  order: Omit<PhaseInput, 'files'>,
  options: { folder: string; print: (line: string) => void; abort: AbortSignal },
): Promise<PhaseResult> {
  const { wrapper, phase } = order;
  let files: EnvironmentFiles;
  let command: ChildCommand;
  try {
    files = await EnvironmentFiles.make(options.folder);
    command = await buildPhaseCommand({ ...order, files });
  } catch (error) {
    return { problem: messageOf(error), said: createEmptyOutput() };
  }
  const state = new Map<string, string>();
  const outputs = new Map<string, string>();
  const filter = new CommandFilter(options.print, {
    saveState: (name, value) => state.set(name, value),
    setOutput: (name, value) => outputs.set(name, value),
  });
  let problem: string | undefined;
  try {
    const end = await runChild(command, {
      timeoutMs: wrapper.timeoutMs,
      abort: options.abort,
      onLine: (line) => filter.line(line),
    });
    problem = describeProblem(end, wrapper.timeoutMs);
  } catch (error) {
    problem = `it could not be started: ${messageOf(error)}`;
  }
  filter.end();
  const said = await files.take().catch(() => createEmptyOutput());
  return {
    problem: problem === undefined ? undefined : `wrapper ${wrapper.id}: its ${phase} ${problem}`,
    said: { ...said, state: new Map([...state, ...said.state]), outputs: new Map([...outputs, ...said.outputs]) },
  };
}

function describeProblem(end: ChildResult, timeoutMs: number): string | undefined {
  switch (end.how) {
    case 'exited':
      return end.code === 0 ? undefined : `ended with code ${end.code}`;
    case 'killed':
      return `was ended by ${end.signal}`;
    case 'timeout':
      return `did not end within ${timeoutMs / 1000} s and was stopped`;
    case 'aborted':
      return 'was stopped';
    default:
      return end satisfies never;
  }
}

function createEmptyOutput(): PhaseOutput {
  return { env: new Map(), path: [], outputs: new Map(), state: new Map(), summary: '', problems: [] };
}
