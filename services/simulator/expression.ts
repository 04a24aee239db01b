/**
 * The part of GitHub's expressions that the simulator supports: literals, context paths, `! == != && ||`, parentheses and the
 * status functions. Used by the simulator (matrix, job conditions) and by the fake runner (step conditions, environment).
 */
export interface ExpressionScope {
  contexts: Record<string, unknown>;
  /** `success`, `failure`, `always`, `cancelled`. */
  functions: Record<string, () => boolean>;
}

const TOKEN = /\s*(?:(&&|\|\||==|!=|[!()])|'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?)|([A-Za-z_][\w-]*(?:\.(?:[\w-]+|\*))*))/y;

type Token = { kind: 'operator' | 'name'; text: string } | { kind: 'value'; value: string | number };

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (text.slice(TOKEN.lastIndex).trim() !== '') {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) throw new Error(`expression "${text}": unexpected "${text.slice(at).trim()[0] ?? ''}"`);
    const [, operator, string, number, name] = match;
    if (operator !== undefined) tokens.push({ kind: 'operator', text: operator });
    else if (string !== undefined) tokens.push({ kind: 'value', value: string.replaceAll("''", "'") });
    else if (number !== undefined) tokens.push({ kind: 'value', value: Number(number) });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name });
  }
  return tokens;
}

function truthy(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false && value !== '' && value !== 0;
}

function lookUp(contexts: Record<string, unknown>, path: string): unknown {
  let value: unknown = contexts;
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = new Map<string, unknown>(Object.entries(value)).get(part);
  }
  return value;
}

function equal(a: unknown, b: unknown): boolean {
  if (typeof a === 'string' && typeof b === 'string') return a.toLowerCase() === b.toLowerCase();
  return (a ?? '') === (b ?? '') || (a !== '' && b !== '' && Number(a) === Number(b));
}

class Parser {
  #at = 0;
  readonly #tokens: Token[];
  readonly #scope: ExpressionScope;
  readonly #text: string;

  constructor(text: string, scope: ExpressionScope) {
    this.#text = text;
    this.#tokens = tokenize(text);
    this.#scope = scope;
  }

  evaluate(): unknown {
    const value = this.#or();
    if (this.#at < this.#tokens.length) throw new Error(`expression "${this.#text}": more than one value`);
    return value;
  }

  #take(...operators: string[]): string | undefined {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'operator' || !operators.includes(token.text)) return undefined;
    this.#at++;
    return token.text;
  }

  #or(): unknown {
    let left = this.#and();
    while (this.#take('||')) {
      const right = this.#and();
      left = truthy(left) ? left : right;
    }
    return left;
  }

  #and(): unknown {
    let left = this.#comparison();
    while (this.#take('&&')) {
      const right = this.#comparison();
      left = truthy(left) ? right : left;
    }
    return left;
  }

  #comparison(): unknown {
    const left = this.#unary();
    const operator = this.#take('==', '!=');
    if (!operator) return left;
    return equal(left, this.#unary()) === (operator === '==');
  }

  #unary(): unknown {
    if (this.#take('!')) return !truthy(this.#unary());
    if (this.#take('(')) {
      const value = this.#or();
      if (!this.#take(')')) throw new Error(`expression "${this.#text}": a parenthesis is not closed`);
      return value;
    }
    const token = this.#tokens[this.#at++];
    if (token?.kind === 'value') return token.value;
    if (token?.kind !== 'name') throw new Error(`expression "${this.#text}": a value is missing`);
    if (token.text === 'true') return true;
    if (token.text === 'false') return false;
    if (token.text === 'null') return null;
    if (!this.#take('(')) return lookUp(this.#scope.contexts, token.text);
    const call = this.#scope.functions[token.text];
    if (!call || !this.#take(')')) throw new Error(`expression "${this.#text}": unknown function ${token.text}`);
    return call();
  }
}

/** The value of one expression, without its `${{ }}`. @throws Error when it is invalid */
function evaluate(text: string, scope: ExpressionScope): unknown {
  return new Parser(text, scope).evaluate();
}

/** The value of an `if:`; without a status function it means `success() && …`, as on GitHub. */
export function evaluateCondition(text: string | undefined, scope: ExpressionScope): boolean {
  const inner = (text ?? '').trim().replace(/^\$\{\{(.*)\}\}$/s, '$1');
  const success = scope.functions['success'] ?? (() => true);
  if (inner.trim() === '') return success();
  const hasStatusFunction = /\b(always|success|failure|cancelled)\s*\(/.test(inner);
  return (hasStatusFunction || success()) && truthy(evaluate(inner, scope));
}

/** A text with every `${{ expression }}` in it replaced by its value. */
export function replaceExpressions(text: string, scope: ExpressionScope): string {
  return text.replaceAll(/\$\{\{(.*?)\}\}/gs, (_whole, inner: string) => toText(evaluate(inner, scope)));
}

/** A value as text: empty for null, JSON for lists and maps. */
export function toText(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined || value === null ? '' : JSON.stringify(value);
}
