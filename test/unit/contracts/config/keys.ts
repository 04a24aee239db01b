import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig, type ConfigProblem } from '../../../../contracts/lib/load-config.ts';

/** What stands in the file in place of the smallest: whole lines, indented as their place wants. */
export interface Parts {
  top?: string;
  forge?: string;
  webhook?: string;
  backend?: string;
  group?: string;
}

/** The smallest complete file: forge at line 2, webhook at 4, the backend at 8, the group at 10 and what it adds at 14. */
export function file(parts: Parts = {}): string {
  return [
    parts.top ?? '# top',
    'forge:',
    parts.forge ?? '  token: ${TOKEN}',
    'webhook:',
    parts.webhook ?? '  secrets: ["${SECRET}"]',
    'backends:',
    '  here:',
    parts.backend ?? '    type: local',
    'groups:',
    '  - name: linux',
    '    organization: acme',
    '    labels: [linux]',
    '    backend: here',
    parts.group ?? '    # group',
    '',
  ].join('\n');
}

export function read(text: string): Record<string, unknown> {
  return parseConfig(text, 'baton.yaml');
}

export function problems(text: string): readonly ConfigProblem[] {
  try {
    parseConfig(text, 'baton.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** All that is to be seen of one configuration key. */
export interface Key {
  /** Where it is in the parsed configuration. */
  path: string;
  /** The smallest file in which it can stand. Default: the smallest of all. */
  base?: Parts;
  /** Undefined: optional, without a default. */
  default: unknown;
  valid: [parts: Parts, parsed: unknown][];
  invalid: [parts: Parts, line: number, column: number, message: RegExp][];
}

/** Three kinds of tests a key: its default, what it takes, and what it refuses, where and in which words. */
export function describeKeys(keys: readonly Key[]): void {
  describe.each(keys)('$path', (key) => {
    it('default', () => {
      expect(at(read(file(key.base)), key.path)).toEqual(key.default);
    });
    it.each(key.valid)('valid %#', (parts, parsed) => {
      expect(at(read(file({ ...key.base, ...parts })), key.path)).toEqual(parsed);
    });
    it.each(key.invalid)('invalid %#', (parts, line, column, message) => {
      const found = problems(file({ ...key.base, ...parts }));
      expect(found).toHaveLength(1);
      expect(found[0]).toMatchObject({ line, column });
      expect(found[0]?.message).toMatch(message);
    });
  });
}

function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((here, key) => Reflect.get(Object(here), key), value);
}
