import { readFileSync } from 'node:fs';
import { data, Evaluator, Lexer, Parser } from '@actions/expressions';
import { messageOf, BatonError } from '../../../contracts/errors.ts';

/** What is known of the job so far. */
export type StepsStatus = 'success' | 'failure' | 'cancelled';

/** What expressions in an action file may name. */
export interface ExpressionScope {
  env: Readonly<Record<string, string | undefined>>;
  inputs: Readonly<Record<string, string>>;
  status: StepsStatus;
}

/** What `always()` and its like say of a job. */
const STATUS_FUNCTIONS: Record<string, (status: StepsStatus) => boolean> = {
  always: () => true,
  success: (status) => status === 'success',
  failure: (status) => status === 'failure',
  cancelled: (status) => status === 'cancelled',
};

const FUNCTIONS = Object.keys(STATUS_FUNCTIONS).map((name) => ({ name, minArgs: 0, maxArgs: 0 }));

const CONTEXTS = ['github', 'runner', 'env', 'inputs', 'job', 'steps', 'secrets', 'strategy', 'matrix'];

/**
 * A `pre-if` or `post-if`; without a status function in it `success() &&` stands before it, as GitHub has it.
 *
 * @throws BatonError WRAPPER_INVALID where it is no expression
 */
export function evaluateCondition(condition: string, scope: ExpressionScope): boolean {
  const inner = condition
    .trim()
    .replace(/^\$\{\{(.*)\}\}$/s, '$1')
    .trim();
  if (inner === '') return scope.status === 'success';
  const asksStatus = /\b(always|success|failure|cancelled)\s*\(/i.test(inner);
  if (!asksStatus && scope.status !== 'success') return false;
  return isTruthy(evaluate(inner, scope));
}

/**
 * A text with every `${{ expression }}` in it replaced by its value.
 *
 * @throws BatonError WRAPPER_INVALID where one is no expression
 */
export function evaluateTemplate(text: string, scope: ExpressionScope): string {
  return text.replaceAll(/\$\{\{(.*?)\}\}/gs, (_whole, inner: string) => evaluate(inner.trim(), scope).coerceString());
}

function evaluate(text: string, scope: ExpressionScope): data.ExpressionData {
  try {
    const { tokens } = new Lexer(text).lex();
    const tree = new Parser(tokens, CONTEXTS, FUNCTIONS).parse();
    return new Evaluator(tree, contexts(scope), statusFunctions(scope.status)).evaluate();
  } catch (error) {
    throw new BatonError('WRAPPER_INVALID', `evaluating "${text}": ${messageOf(error)}`);
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

/** Of `github` and `runner` what their variables say; there is no token in a hook, and `steps` and `matrix` are the job's own. */
function contexts({ env, inputs, status }: ExpressionScope): data.Dictionary {
  const github = named(env, 'GITHUB_');
  const all: Record<string, Record<string, string | undefined>> = {
    github: { ...github, token: '', ref_protected: github['ref_protected'] ?? 'false' },
    runner: named(env, 'RUNNER_'),
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

/** The payload of the event that started the workflow, as the forge's runner leaves it; nothing where it can't be read. */
function readEvent(env: ExpressionScope['env']): data.ExpressionData {
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

/** `GITHUB_RUN_ID` as `run_id`, and so on. */
function named(env: ExpressionScope['env'], prefix: string): Record<string, string | undefined> {
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
