import { readFileSync } from 'node:fs';
import { isMap, isNode, isPair, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { z, type core } from 'zod';
import { BatonError, getErrorMessage } from '../errors.ts';
import { config, type Config } from '../config/config.ts';

/** One problem in a configuration file, with its position. */
export interface ConfigProblem {
  /** 1-based. */
  line: number;
  column: number;
  /** `groups[0].max`, empty for the file as a whole. */
  path: string;
  message: string;
}

/** CONFIG_INVALID with all problems of a file. */
export class ConfigError extends BatonError {
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ line, column, path, message }) => {
      return `${file}:${line}:${column}: ${path ? `${path}: ` : ''}${message}`;
    });
    super('CONFIG_INVALID', lines.join('\n'), { details: { file, problems } });
    this.problems = problems;
  }
}

/**
 * Reads and checks a configuration file.
 *
 * @throws BatonError CONFIG_UNREADABLE; ConfigError
 */
export function loadConfig(file: string): Config {
  return parseConfig(readConfigText(file), file);
}

/** @throws BatonError CONFIG_UNREADABLE */
export function readConfigText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new BatonError('CONFIG_UNREADABLE', `reading configuration ${file}: ${getErrorMessage(error)}`, {
      cause: error,
    });
  }
}

/** {@link loadConfig} for a text; `file` only names it in errors. */
export function parseConfig(text: string, file: string): Config {
  const lines = new LineCounter();
  const document = readYaml(text, file, lines);
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => ({
      ...position(lines, error.pos[0]),
      path: '',
      message: error.message,
    }));
    throw new ConfigError(file, problems);
  }
  const parsed = config.safeParse(toContent(document, file));
  if (parsed.success) return parsed.data;
  throw new ConfigError(
    file,
    parsed.error.issues.flatMap((issue) => toProblems(issue, document, lines)),
  );
}

/**
 * The content of a configuration file as JSON, before any default is filled in.
 *
 * @throws ConfigError
 */
export function parseRawConfig(text: string, file: string): Record<string, unknown> {
  const parsed = z.record(z.string(), z.unknown()).safeParse(toContent(readYaml(text, file), file));
  if (parsed.success) return parsed.data;
  throw new ConfigError(file, [{ line: 1, column: 1, path: '', message: 'expected keys and values' }]);
}

/** @throws ConfigError where the library cannot go on, as with a thousand brackets within one another */
function readYaml(text: string, file: string, lineCounter = new LineCounter()): Document {
  try {
    return parseDocument(text, { lineCounter, prettyErrors: false });
  } catch (error) {
    throw new ConfigError(file, [{ line: 1, column: 1, path: '', message: getErrorMessage(error) }]);
  }
}

/** @throws ConfigError for aliases that name nothing, or that multiply without end */
function toContent(document: Document, file: string): unknown {
  try {
    return document.toJS() ?? {};
  } catch (error) {
    throw new ConfigError(file, [{ line: 1, column: 1, path: '', message: getErrorMessage(error) }]);
  }
}

function toProblems(issue: core.$ZodIssue, document: Document, lines: LineCounter): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return { ...locate(path, document, lines), path: toPathText(path), message: `unknown key "${key}"` };
    });
  }
  if (issue.code === 'invalid_union') {
    // The alternative that the value resembles names the problem.
    const inside = issue.errors.find((errors) =>
      errors.some((error) => error.path.length > 0 || error.code !== 'invalid_type'),
    );
    if (inside)
      return inside.flatMap((error) => toProblems({ ...error, path: [...issue.path, ...error.path] }, document, lines));
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues.map((one) => one.message).join('; ');
    return [{ ...locate(issue.path, document, lines), path: toPathText(issue.path), message }];
  }
  const missing =
    (issue.code === 'invalid_type' || issue.code === 'invalid_union') && document.getIn(issue.path) === undefined;
  const message = missing ? `required, but not given: ${issue.message}` : issue.message;
  return [{ ...locate(issue.path, document, lines), path: toPathText(issue.path), message }];
}

/** The position of the key at `path`, or of its nearest existing parent. */
function locate(
  path: readonly PropertyKey[],
  document: Document,
  lines: LineCounter,
): { line: number; column: number } {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = document.getIn(path.slice(0, depth - 1), true);
    const key = path[depth - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === key);
      if (pair && isScalar(pair.key) && pair.key.range) return position(lines, pair.key.range[0]);
    } else {
      const node = document.getIn(path.slice(0, depth), true);
      if (isNode(node) && node.range) return position(lines, node.range[0]);
    }
  }
  return { line: 1, column: 1 };
}

function position(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

function toPathText(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '');
}
