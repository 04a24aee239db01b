import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a step wrote to GITHUB_ENV, GITHUB_PATH, GITHUB_OUTPUT and GITHUB_STEP_SUMMARY. */
export interface FileCommands {
  env: Map<string, string>;
  path: string[];
  output: Map<string, string>;
  summary: string;
}

const FILES = ['GITHUB_ENV', 'GITHUB_PATH', 'GITHUB_OUTPUT', 'GITHUB_STATE', 'GITHUB_STEP_SUMMARY'] as const;

/** Creates the files of a step, empty. @returns the environment variables with their paths */
export function makeEnvironmentFiles(temp: string, step: string): Record<string, string> {
  const folder = join(temp, '_runner_file_commands');
  mkdirSync(folder, { recursive: true });
  const named = FILES.map((name) => [name, join(folder, `${name.slice(7).toLowerCase()}_${step}`)] as const);
  for (const [, file] of named) writeFileSync(file, '');
  return Object.fromEntries(named);
}

/** Reads and removes the files of a step. @throws Error when one doesn't have the documented format */
export function readEnvironmentFiles(files: Record<string, string>): FileCommands {
  const text = (name: (typeof FILES)[number]): string => {
    try {
      return readFileSync(files[name] ?? '', 'utf8');
    } catch {
      return '';
    }
  };
  try {
    const env = parsePairs(text('GITHUB_ENV'), 'env');
    if (env.has('NODE_OPTIONS')) {
      throw new Error("Can't store NODE_OPTIONS output parameter using '$GITHUB_ENV' command.");
    }
    return {
      env,
      path: text('GITHUB_PATH')
        .split(/\r?\n/)
        .filter((line) => line.trim() !== ''),
      output: parsePairs(text('GITHUB_OUTPUT'), 'output'),
      summary: text('GITHUB_STEP_SUMMARY'),
    };
  } finally {
    for (const file of Object.values(files)) rmSync(file, { force: true });
  }
}

/** `NAME=value` lines, and `NAME<<END` … `END` for values of more than one line. */
function parsePairs(text: string, kind: string): Map<string, string> {
  const pairs = new Map<string, string>();
  const lines = text.split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? '';
    if (line === '') continue;
    const equals = line.indexOf('=');
    const heredoc = line.indexOf('<<');
    if (equals > 0 && (heredoc < 0 || equals < heredoc)) {
      pairs.set(line.slice(0, equals), line.slice(equals + 1));
    } else if (heredoc > 0) {
      const end = lines.indexOf(line.slice(heredoc + 2), index + 1);
      if (end < 0) throw unreadable(kind, `Matching delimiter not found '${line.slice(heredoc + 2)}'`);
      pairs.set(line.slice(0, heredoc), lines.slice(index + 1, end).join('\n'));
      index = end;
    } else {
      throw unreadable(kind, `Invalid format '${line}'`);
    }
  }
  return pairs;
}

const unreadable = (kind: string, why: string): Error =>
  new Error(`Unable to process file command '${kind}' successfully. ${why}`);
