import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

export interface ShellCommand {
  file: string;
  args: string[];
  /** The command in the log, with `{0}` for the script. */
  display: string;
  /** Of the script's file. */
  extension: '.sh' | '.ps1' | '.py' | '';
}

/** The full path of a program; undefined when it isn't on PATH. */
function findProgram(name: string, path: string | undefined): string | undefined {
  for (const folder of isAbsolute(name) ? [''] : (path ?? '').split(delimiter)) {
    const file = folder === '' ? name : join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (isAbsolute(file) && statSync(file).isFile()) return file;
    } catch {
      // It isn't in this folder.
    }
  }
  return undefined;
}

const ARGUMENTS = new Map<string, { args: string[]; extension: ShellCommand['extension'] }>([
  ['bash', { args: ['--noprofile', '--norc', '-eo', 'pipefail', '{0}'], extension: '.sh' }],
  ['sh', { args: ['-e', '{0}'], extension: '.sh' }],
  ['pwsh', { args: ['-command', `. '{0}'`], extension: '.ps1' }],
  ['powershell', { args: ['-command', `. '{0}'`], extension: '.ps1' }],
  ['python', { args: ['{0}'], extension: '.py' }],
]);

/**
 * The command for a `run:` step: its `shell:`, else bash, else sh, with GitHub's own arguments for each.
 * Source: https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#jobsjob_idstepsshell
 *
 * @throws Error when there is no such shell
 */
export function findStepShell(shell: string | null, path: string | undefined): ShellCommand {
  if (shell === null) {
    const name = findProgram('bash', path) === undefined ? 'sh' : 'bash';
    return createCommand(name, ['-e', '{0}'], '.sh', path);
  }
  const known = ARGUMENTS.get(shell.toLowerCase());
  if (known) return createCommand(shell.toLowerCase(), known.args, known.extension, path);
  const [name = '', ...args] = shell.split(/\s+/);
  if (!args.some((arg) => arg.includes('{0}'))) throw new Error(`Invalid shell option '${shell}'`);
  return createCommand(name, args, '', path);
}

/**
 * The command for a job hook: bash, else sh for `.sh`; pwsh, else powershell for `.ps1`.
 *
 * @throws Error for another file, or without such a shell
 */
export function findHookShell(script: string, path: string | undefined): ShellCommand {
  if (script.endsWith('.sh')) return createCommand(findFirst(['bash', 'sh'], path), ['-e', '{0}'], '.sh', path);
  if (script.endsWith('.ps1')) {
    return createCommand(findFirst(['pwsh', 'powershell'], path), ['-command', `. '{0}'`], '.ps1', path);
  }
  throw new Error(`'${script}' is not a valid path to a script. Make sure it ends in '.sh' or '.ps1'.`);
}

/** The arguments, with the script in place of `{0}`. */
export function toArguments(shell: ShellCommand, script: string): string[] {
  return shell.args.map((arg) => arg.replace('{0}', () => script));
}

function findFirst([first = '', second = '']: string[], path: string | undefined): string {
  return findProgram(first, path) === undefined ? second : first;
}

function createCommand(
  name: string,
  args: string[],
  extension: ShellCommand['extension'],
  path: string | undefined,
): ShellCommand {
  const file = findProgram(name, path);
  if (file === undefined) throw new Error(`${name}: command not found`);
  const shown = args.map((arg) => (arg.includes(' ') ? `"${arg}"` : arg)).join(' ');
  return { file, args, display: `${file} ${shown}`, extension };
}
