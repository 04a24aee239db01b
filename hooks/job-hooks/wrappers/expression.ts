import { readFileSync } from 'node:fs';
import { data, Evaluator, Lexer, Parser } from '@actions/expressions';
import { getErrorMessage, BatonError } from '../../../contracts/errors.ts';

/** The result of the job's steps so far. */
export type StepsStatus = 'success' | 'failure' | 'cancelled';

/** What expressions in an action file can refer to. */
export interface ActionExpressionScope {
  env: Readonly<Record<string, string | undefined>>;
  inputs: Readonly<Record<string, string>>;
  status: StepsStatus;
}

/** The status functions of expressions. */
const STATUS_FUNCTIONS: Record<string, (status: StepsStatus) => boolean> = {
  always: () => true,
  success: (status) => status === 'success',
  failure: (status) => status === 'failure',
  cancelled: (status) => status === 'cancelled',
};

const FUNCTIONS = Object.keys(STATUS_FUNCTIONS).map((name) => ({ name, minArgs: 0, maxArgs: 0 }));

const CONTEXTS = ['github', 'runner', 'env', 'inputs', 'job', 'steps', 'secrets', 'strategy', 'matrix'];

/**
 * Evaluates a `pre-if` or `post-if`. As on GitHub, a condition without a status function means `success() &&
 * (condition)`.
 *
 * @throws BatonError WRAPPER_INVALID if it is not an expression
 */
export function isConditionMet(condition: string, scope: ActionExpressionScope): boolean {
  const inner = condition
    .trim()
    .replace(/^\$\{\{(.*)\}\}$/s, '$1')
    .trim();
  if (inner === '') return scope.status === 'success';
  const hasStatusFunction = /\b(always|success|failure|cancelled)\s*\(/i.test(inner);
  if (!hasStatusFunction && scope.status !== 'success') return false;
  return isTruthy(evaluate(inner, scope));
}

/**
 * Replaces every `${{ expression }}` in a text by its value.
 *
 * @throws BatonError WRAPPER_INVALID if one is not an expression
 */
export function evaluateTemplate(text: string, scope: ActionExpressionScope): string {
  return text.replaceAll(/\$\{\{(.*?)\}\}/gs, (_whole, inner: string) => evaluate(inner.trim(), scope).coerceString());
}

function evaluate(text: string, scope: ActionExpressionScope): data.ExpressionData {
  try {
    const { tokens } = new Lexer(text).lex();
    const tree = new Parser(tokens, CONTEXTS, FUNCTIONS).parse();
    return new Evaluator(tree, contexts(scope), statusFunctions(scope.status)).evaluate();
  } catch (error) {
    throw new BatonError('WRAPPER_INVALID', `evaluating "${text}": ${getErrorMessage(error)}`);
  }
}

function statusFunctions(status: StepsStatus) {
  return new Map(
    Object.entries(STATUS_FUNCTIONS).map(([name, holds]) => {
      const call = (): data.ExpressionData => new data.BooleanData(holds(status));
      return [name, { name, minArgs: 0, maxArgs: 0, call }];
    }),
  );
}

/**
 * `github` and `runner` are read from their variables. A hook has no token, and does not know the job's `steps` and
 * `matrix`.
 */
function contexts({ env, inputs, status }: ActionExpressionScope): data.Dictionary {
  const github = pickByPrefix(env, 'GITHUB_');
  const all: Record<string, Record<string, string | undefined>> = {
    github: { ...github, token: '', ref_protected: github['ref_protected'] ?? 'false' },
    runner: pickByPrefix(env, 'RUNNER_'),
    env,
    inputs,
    job: { status },
    steps: {},
    secrets: {},
    strategy: {},
    matrix: {},
  };
  const pairs = Object.entries(all).map(([key, values]) => ({ key, value: dictionary(values) }));
  pairs.find(({ key }) => key === 'github')?.value.add('event', readEvent(env));
  return new data.Dictionary(...pairs);
}

/**
 * The payload of the event that started the workflow, from the file of the forge's runner; null if it cannot be read.
 */
function readEvent(env: ActionExpressionScope['env']): data.ExpressionData {
  try {
    return toData(JSON.parse(readFileSync(env['GITHUB_EVENT_PATH'] ?? '', 'utf8')));
  } catch {
    return new data.Null();
  }
}

function toData(value: unknown): data.ExpressionData {
  if (typeof value === 'string') return new data.StringData(value);
  if (typeof value === 'number') return new data.NumberData(value);
  if (typeof value === 'boolean') return new data.BooleanData(value);
  if (Array.isArray(value)) return new data.Array(...value.map(toData));
  if (typeof value !== 'object' || value === null) return new data.Null();
  return new data.Dictionary(...Object.entries(value).map(([key, child]) => ({ key, value: toData(child) })));
}

function dictionary(values: Readonly<Record<string, string | undefined>>): data.Dictionary {
  return new data.Dictionary(
    ...Object.entries(values).map(([key, value]) => ({ key, value: new data.StringData(value ?? '') })),
  );
}

/** The variables with this prefix, such as `GITHUB_RUN_ID` as `run_id`. */
function pickByPrefix(env: ActionExpressionScope['env'], prefix: string): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(env)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length).toLowerCase(), value]),
  );
}

function isTruthy(value: data.ExpressionData): boolean {
  switch (value.kind) {
    case data.Kind.Null:
      return false;
    case data.Kind.Boolean:
      return value.value;
    case data.Kind.Number:
      return value.value !== 0 && !Number.isNaN(value.value);
    case data.Kind.String:
      return value.value !== '';
    default:
      return true;
  }
}
