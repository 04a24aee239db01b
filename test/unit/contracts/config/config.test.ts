import { describe, expect, it } from 'vitest';
import { createConfigSchema } from '../../../../contracts/config/schema.ts';
import { readSecret } from '../../../../contracts/lib/read-secret.ts';
import { BACKEND_KEYS } from './backend-keys.ts';
import { GCE_KEYS } from './gce-keys.ts';
import { DELEGATION_KEYS } from './delegation-keys.ts';
import { EC2_KEYS } from './ec2-keys.ts';
import { GROUP_KEYS } from './group-keys.ts';
import { HOOK_KEYS } from './hook-keys.ts';
import { aConfigFile } from '../../../support/a-config-file.ts';
import { describeKeys, problems, read } from './keys.ts';
import { INSTALLATION_KEYS } from './installation-keys.ts';

const KEYS = [
  ...DELEGATION_KEYS,
  ...INSTALLATION_KEYS,
  ...BACKEND_KEYS,
  ...EC2_KEYS,
  ...GCE_KEYS,
  ...GROUP_KEYS,
  ...HOOK_KEYS,
];
describeKeys(KEYS);

/** Keys of the schema as the rows above write them; a backend is checked by the tests of its own. */
function leaves(schema: unknown, path: string): string[] {
  const { properties, items }: Record<string, unknown> = Object(schema);
  if (path === 'backends') return ['backends.here'];
  if (properties !== undefined) {
    return Object.entries(Object(properties)).flatMap(([key, child]) => leaves(child, path ? `${path}.${key}` : key));
  }
  const element = Object(items);
  if (element.properties !== undefined && path === 'groups') return leaves(element, `${path}.0`);
  return [path];
}

describe('the configuration file', () => {
  it('every key has its tests', () => {
    const tested = KEYS.map(({ path }) => path);
    const missing = leaves(createConfigSchema(), '').filter(
      (leaf) => !tested.some((path) => path === leaf || path.startsWith(`${leaf}.`)),
    );
    expect(missing).toEqual([]);
  });

  it('all problems are told at once, each with its place', () => {
    const text = aConfigFile({ top: 'bogus: 1\nname: CI', group: '    max: many' });
    expect(problems(text).map(({ line, column, path }) => ({ line, column, path }))).toEqual([
      { line: 2, column: 1, path: 'name' },
      { line: 15, column: 5, path: 'groups[0].max' },
      { line: 1, column: 1, path: 'bogus' },
    ]);
  });

  it('a problem reads as file, line, column, key and what is wrong', () => {
    expect(() => read(aConfigFile().replace('backend: here', 'backend: there'))).toThrow(
      'baton.yaml:13:5: groups[0].backend: there is no backend "there"; there is here',
    );
  });

  it('broken YAML is told with its place', () => {
    expect(problems('name: [')).toMatchObject([{ line: 1 }]);
  });

  it('an empty file says what is needed', () => {
    expect(() => read('')).toThrow(/forge: required, but not given/);
  });

  it('a secret that is not set names its variable, not a value', () => {
    expect(() => readSecret({ env: 'NOT_SET' }, {})).toThrow('environment variable NOT_SET is not set');
    expect(readSecret({ env: 'SET' }, { SET: 'x' })).toBe('x');
  });
});
