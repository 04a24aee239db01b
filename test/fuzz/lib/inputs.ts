import { array, boolean, constantFrom, json, jsonValue, nat, oneof, string, tuple, type Arbitrary } from 'fast-check';

/** What has surprised parsers before: inherited names, control characters, broken Unicode, sizes, depth, other languages' syntax. */
const HOSTILE = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  '{"__proto__":{"polluted":1}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '\u0000',
  '\u001b]52;c;aGk=\u0007',
  '\u202e',
  '\ud800',
  '\ufeff',
  '\r',
  '\r\n',
  '\n\n',
  ' ',
  '"',
  "'",
  '\\',
  '..',
  '/',
  '%',
  '%00',
  '=',
  '<<',
  '::',
  '::stop-commands::x',
  '${{',
  '}}',
  '&a [*a, *a]',
  '<<: *a',
  '!!js/function x',
  '---',
  '-----BEGIN RSA PRIVATE KEY-----',
  '.',
  '*',
  '>',
  '-1',
  '1e999',
  'NaN',
  '9007199254740993',
  '9'.repeat(400),
  'null',
  'true',
  '[]',
  '{}',
  '['.repeat(2000),
  '{"a":'.repeat(1000),
  '('.repeat(1000),
  'a'.repeat(20_000),
] as const;

const hostile = constantFrom(...HOSTILE);

/** A value that stands for one of JSON's. */
const hostileValue: Arbitrary<unknown> = oneof(
  hostile,
  constantFrom<unknown>(null, true, 0, -1, 1.5, 1e308, Number.MAX_SAFE_INTEGER + 2, [], {}, [[]], ['']),
  jsonValue({ maxDepth: 2 }),
);

/** Texts for a parser: any, JSON, and the examples with parts removed, doubled or replaced. */
export function createInputs(examples: readonly string[]): Arbitrary<string> {
  const any = [
    string({ unit: 'binary', maxLength: 200 }),
    array(hostile, { maxLength: 6 }).map((parts) => parts.join('')),
    json({ maxDepth: 3 }),
  ];
  if (examples.length === 0) return oneof(...any);
  const example = constantFrom(...examples);
  const edits = array(tuple(nat(), nat(40), hostile, constantFrom('cut', 'double', 'insert', 'replace')), {
    minLength: 1,
    maxLength: 4,
  });
  const edited = tuple(example, edits).map(([text, list]) => list.reduce((now, edit) => editText(now, ...edit), text));
  const changed = tuple(example, array(tuple(nat(), hostileValue, boolean()), { minLength: 1, maxLength: 3 })).map(
    ([text, list]) => list.reduce((now, change) => changeJson(now, ...change), text),
  );
  return oneof(...any, { weight: 4, arbitrary: edited }, { weight: 4, arbitrary: changed });
}

function editText(text: string, at: number, length: number, piece: string, how: string): string {
  const start = text.length === 0 ? 0 : at % text.length;
  const end = start + length;
  switch (how) {
    case 'cut':
      return text.slice(0, start) + text.slice(end);
    case 'double':
      return text.slice(0, end) + text.slice(start);
    case 'insert':
      return text.slice(0, start) + piece + text.slice(start);
    default:
      return text.slice(0, start) + piece + text.slice(end);
  }
}

/** Replaces a value of a JSON text, or adds a key beside it. */
function changeJson(text: string, which: number, value: unknown, adds: boolean): string {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return text;
  }
  const values: [object, string][] = [];
  const collect = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Object.keys(node)) {
      values.push([node, key]);
      collect(Reflect.get(node, key));
    }
  };
  collect(content);
  const found = values[values.length === 0 ? 0 : which % values.length];
  if (found === undefined) return text;
  const [node, key] = found;
  const name = adds ? (HOSTILE[which % 4] ?? key) : key;
  Object.defineProperty(node, name, { value, enumerable: true, configurable: true, writable: true });
  return JSON.stringify(content);
}
