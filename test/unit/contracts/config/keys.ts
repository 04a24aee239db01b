import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig, type ConfigProblem } from '../../../../contracts/lib/load-config.ts';
import { aConfigFile, type ConfigParts } from '../../../support/a-config-file.ts';

export function parseText(text: string): Record<string, unknown> {
  return parseConfig(text, 'baton.yaml');
}

export function findProblems(text: string): readonly ConfigProblem[] {
  try {
    parseConfig(text, 'baton.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** The tests of one configuration key. */
export interface Key {
  /** Where it is in the parsed configuration. */
  path: string;
  /** The smallest file that can have it. Default: the smallest file of all. */
  base?: ConfigParts;
  /** Undefined: optional, without a default. */
  default: unknown;
  valid: [parts: ConfigParts, parsed: unknown][];
  invalid: [parts: ConfigParts, line: number, column: number, message: RegExp][];
}

/** Three kinds of tests per key: its default, valid values, and invalid ones with position and message. */
export function describeKeys(keys: readonly Key[]): void {
  describe.each(keys)('$path', (key) => {
    it('has its default', () => {
      expect(readPath(parseText(aConfigFile(key.base)), key.path)).toEqual(key.default);
    });
    it.each(key.valid)('accepts a valid value (%#)', (parts, parsed) => {
      expect(readPath(parseText(aConfigFile({ ...key.base, ...parts })), key.path)).toEqual(parsed);
    });
    it.each(key.invalid)('refuses an invalid value (%#)', (parts, line, column, message) => {
      const found = findProblems(aConfigFile({ ...key.base, ...parts }));
      expect(found).toHaveLength(1);
      expect(found[0]).toMatchObject({ line, column });
      expect(found[0]?.message).toMatch(message);
    });
  });
}

function readPath(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((here, key) => Reflect.get(Object(here), key), value);
}
