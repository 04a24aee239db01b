import { readFileSync } from 'node:fs';

/**
 * The process of a program that the test cluster started, not the guard that ends it together with the test.
 *
 * @param child that was started: the guard
 * @throws Error if it does not run
 */
export function findGuardedProgram(child: { pid: number | undefined } | undefined): number {
  const guard = child?.pid ?? 0;
  const children = readFileSync(`/proc/${guard}/task/${guard}/children`, 'utf8').trim().split(' ').map(Number);
  const program = children.find((pid) => {
    const command = readCommand(pid);
    return command !== '' && !command.includes('guard.sh');
  });
  if (program === undefined) throw new Error(`the guard ${guard} has no program that runs`);
  return program;
}

/** Empty for a process that has ended. */
function readCommand(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
