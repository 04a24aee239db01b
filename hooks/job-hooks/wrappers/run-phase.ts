import { messageOf } from '../../../contracts/errors.ts';
import { runChild, type ChildEnd, type Command } from './child.ts';
import { CommandFilter } from './command-filter.ts';
import { EnvironmentFiles, type Said } from './environment-files.ts';
import { phaseCommand, type PhaseOrder } from './phase-command.ts';

export interface PhaseEnd {
  /** One clause for a person; undefined where it went well. */
  problem: string | undefined;
  said: Said;
}

/**
 * Runs one phase of one wrapper to its end, or to its time bound. Never rejects: whatever goes wrong is this wrapper's alone.
 *
 * @param options.folder where its files are made
 * @param options.print takes its output, less what was for us
 */
export async function runPhase(
  order: Omit<PhaseOrder, 'files'>,
  options: { folder: string; print: (line: string) => void; abort: AbortSignal },
): Promise<PhaseEnd> {
  const { wrapper, phase } = order;
  let files: EnvironmentFiles;
  let command: Command;
  try {
    files = await EnvironmentFiles.make(options.folder);
    command = await phaseCommand({ ...order, files });
  } catch (error) {
    return { problem: messageOf(error), said: nothing() };
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
    problem = problemOf(end, wrapper.timeoutMs);
  } catch (error) {
    problem = `it could not be started: ${messageOf(error)}`;
  }
  filter.end();
  const said = await files.take().catch(() => nothing());
  return {
    problem: problem === undefined ? undefined : `wrapper ${wrapper.id}: its ${phase} ${problem}`,
    said: { ...said, state: new Map([...state, ...said.state]), outputs: new Map([...outputs, ...said.outputs]) },
  };
}

function problemOf(end: ChildEnd, timeoutMs: number): string | undefined {
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

function nothing(): Said {
  return { env: new Map(), path: [], outputs: new Map(), state: new Map(), summary: '', problems: [] };
}
