import type { JobAnnotation } from '../protocol.ts';

/** The effects of workflow commands in a step's output. */
export interface CommandEffects {
  print(line: string): void;
  annotate(annotation: JobAnnotation): void;
  mask(value: string): void;
  setOutput(name: string, value: string): void;
}

const COMMAND = /^::([a-z-]+)(?: ([^:]*(?::(?!:)[^:]*)*))?::(.*)$/i;
const LEVELS = { notice: 'notice', warning: 'warning', error: 'failure' } as const;

/**
 * Reads a step's output line by line: commands such as `::error file=a,line=1::text` take effect, other lines are printed.
 * Source: https://docs.github.com/en/actions/writing-workflows/choosing-what-your-workflow-does/workflow-commands-for-github-actions
 */
export class OutputReader {
  #stopToken: string | undefined;
  readonly #effects: CommandEffects;
  readonly #isHook: boolean;
  readonly #debug: boolean;

  constructor(effects: CommandEffects, options: { isHook: boolean; debug: boolean }) {
    this.#effects = effects;
    this.#isHook = options.isHook;
    this.#debug = options.debug;
  }

  read(line: string): void {
    if (this.#stopToken !== undefined) {
      if (line.trim() === `::${this.#stopToken}::`) this.#stopToken = undefined;
      this.#effects.print(line);
      return;
    }
    const match = COMMAND.exec(line.trimStart());
    const name = match?.[1]?.toLowerCase();
    if (name === undefined || !this.#run(name, parseProperties(match?.[2] ?? ''), unescape(match?.[3] ?? ''))) {
      this.#effects.print(line);
    }
  }

  /** @returns false for an unknown command: the line is then printed */
  #run(name: string, given: Map<string, string>, value: string): boolean {
    switch (name) {
      case 'notice':
      case 'warning':
      case 'error': {
        this.#effects.print(`##[${name}]${value}`);
        const line = given.get('line');
        this.#effects.annotate({
          level: LEVELS[name],
          message: value,
          ...(given.has('title') ? { title: given.get('title') } : {}),
          ...(given.has('file') ? { file: given.get('file') } : {}),
          ...(line === undefined || Number.isNaN(Number(line)) ? {} : { line: Number(line) }),
        });
        return true;
      }
      case 'group':
      case 'endgroup':
        this.#effects.print(`##[${name}]${value}`);
        return true;
      case 'debug':
        if (this.#debug) this.#effects.print(`##[debug]${value}`);
        return true;
      case 'add-mask':
        this.#effects.mask(value);
        return true;
      case 'stop-commands':
        this.#stopToken = value;
        return true;
      case 'echo':
        return true;
      case 'set-output':
      case 'save-state':
        if (this.#isHook) this.#effects.print(`##[error]The command '${name}' is not supported in a job hook.`);
        else if (name === 'set-output') this.#effects.setOutput(given.get('name') ?? '', value);
        return true;
      case 'set-env':
      case 'add-path':
        this.#effects.print(`##[error]The \`${name}\` command is disabled. Please upgrade to using Environment Files.`);
        return true;
      default:
        return false;
    }
  }
}

function parseProperties(text: string): Map<string, string> {
  const pairs = text.split(',').flatMap((pair) => {
    const equals = pair.indexOf('=');
    const value = unescape(pair.slice(equals + 1))
      .replaceAll('%3A', ':')
      .replaceAll('%2C', ',');
    return equals > 0 ? [[pair.slice(0, equals).trim(), value] as const] : [];
  });
  return new Map(pairs);
}

function unescape(text: string): string {
  return text.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%');
}
