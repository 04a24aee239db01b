import { randomUUID } from 'node:crypto';
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const NAMES = ['GITHUB_ENV', 'GITHUB_PATH', 'GITHUB_OUTPUT', 'GITHUB_STATE', 'GITHUB_STEP_SUMMARY'] as const;
type FileName = (typeof NAMES)[number];

/** What one phase wrote to its files. */
export interface PhaseOutput {
  env: Map<string, string>;
  path: string[];
  outputs: Map<string, string>;
  state: Map<string, string>;
  summary: string;
  /** What could not be read, one clause each. */
  problems: string[];
}

/**
 * The environment files of one phase. Each phase has its own, so that other phases cannot read its state and outputs.
 */
export class EnvironmentFiles {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(parent: string): Promise<EnvironmentFiles> {
    const folder = join(parent, `files-${randomUUID()}`);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const name of NAMES) await writeFile(join(folder, name), '');
    return new EnvironmentFiles(folder);
  }

  /** The variables that name the files, in this folder or where it is mounted. */
  variables(folder = this.folder): Record<FileName, string> {
    const at = (name: FileName): string => `${folder}/${name}`;
    return {
      GITHUB_ENV: at('GITHUB_ENV'),
      GITHUB_PATH: at('GITHUB_PATH'),
      GITHUB_OUTPUT: at('GITHUB_OUTPUT'),
      GITHUB_STATE: at('GITHUB_STATE'),
      GITHUB_STEP_SUMMARY: at('GITHUB_STEP_SUMMARY'),
    };
  }

  /** Reads and removes the files. An error in one of them does not affect the others. */
  async take(): Promise<PhaseOutput> {
    const problems: string[] = [];
    const pairs = async (name: FileName): Promise<Map<string, string>> => {
      const { values, problem } = parsePairs(await this.#read(name));
      if (problem !== undefined) problems.push(`${name}: ${problem}`);
      for (const key of values.keys()) {
        // `A<` with the operator of a value of several lines reads as `A` with another delimiter, which fails the job.
        if (key.endsWith('<') && values.delete(key)) problems.push(`${name}: the name ${key} ends with <`);
      }
      return values;
    };
    const env = await pairs('GITHUB_ENV');
    if (env.delete('NODE_OPTIONS')) problems.push('GITHUB_ENV: the forge’s runner does not accept NODE_OPTIONS');
    const output = {
      env,
      path: (await this.#read('GITHUB_PATH')).split(/\r?\n/).filter((line) => line.trim() !== ''),
      outputs: await pairs('GITHUB_OUTPUT'),
      state: await pairs('GITHUB_STATE'),
      summary: await this.#read('GITHUB_STEP_SUMMARY'),
      problems,
    };
    await rm(this.folder, { recursive: true, force: true });
    return output;
  }

  async #read(name: FileName): Promise<string> {
    return readFile(join(this.folder, name), 'utf8').catch(() => '');
  }
}

/** Parses `NAME=value` lines, and `NAME<<END` … `END` for values with several lines. */
function parsePairs(text: string): { values: Map<string, string>; problem?: string } {
  const values = new Map<string, string>();
  const lines = text.split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? '';
    if (line === '') continue;
    const equals = line.indexOf('=');
    const heredoc = line.indexOf('<<');
    if (equals > 0 && (heredoc < 0 || equals < heredoc)) {
      values.set(line.slice(0, equals), line.slice(equals + 1));
    } else if (heredoc > 0) {
      const end = lines.indexOf(line.slice(heredoc + 2), index + 1);
      if (end < 0) return { values, problem: `the closing delimiter of "${line.slice(0, heredoc)}" is missing` };
      values.set(line.slice(0, heredoc), lines.slice(index + 1, end).join('\n'));
      index = end;
    } else {
      return { values, problem: 'a line is neither NAME=value nor NAME<<DELIMITER' };
    }
  }
  return { values };
}

/** Passes variables to the job, in the hook's own GITHUB_ENV. The random delimiter cannot occur in a value. */
export async function appendEnv(values: ReadonlyMap<string, string>, file: string | undefined): Promise<void> {
  if (file === undefined || values.size === 0) return;
  const parts = [...values].map(([name, value]) => {
    const end = `baton_${randomUUID()}`;
    return `${name}<<${end}\n${value}\n${end}\n`;
  });
  await appendFile(file, parts.join(''));
}

/** Passes lines to the job: folders in GITHUB_PATH, text in GITHUB_STEP_SUMMARY. */
export async function appendText(text: string, file: string | undefined): Promise<void> {
  if (file === undefined || text === '') return;
  await appendFile(file, text.endsWith('\n') ? text : `${text}\n`);
}
