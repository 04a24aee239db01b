import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig, type ConfigProblem } from '../../../../contracts/lib/load-config.ts';
import { aConfigFile, type ConfigParts } from '../../../support/a-config-file.ts';

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
  base?: ConfigParts;
  /** Undefined: optional, without a default. */
  default: unknown;
  valid: [parts: ConfigParts, parsed: unknown][];
  invalid: [parts: ConfigParts, line: number, column: number, message: RegExp][];
}

/** Three kinds of tests a key: its default, what it takes, and what it refuses, where and in which words. */
export function describeKeys(keys: readonly Key[]): void {
  describe.each(keys)('$path', (key) => {
    it('default', () => {
      expect(at(read(aConfigFile(key.base)), key.path)).toEqual(key.default);
    });
    it.each(key.valid)('valid %#', (parts, parsed) => {
      expect(at(read(aConfigFile({ ...key.base, ...parts })), key.path)).toEqual(parsed);
    });
    it.each(key.invalid)('invalid %#', (parts, line, column, message) => {
      const found = problems(aConfigFile({ ...key.base, ...parts }));
      expect(found).toHaveLength(1);
      expect(found[0]).toMatchObject({ line, column });
      expect(found[0]?.message).toMatch(message);
    });
  });
}

function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((here, key) => Reflect.get(Object(here), key), value);
}
