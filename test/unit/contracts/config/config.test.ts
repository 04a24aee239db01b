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
import { describeKeys, findProblems, parseText } from './keys.ts';
import { INGRESS_KEYS } from './ingress-keys.ts';
import { INSTALLATION_KEYS } from './installation-keys.ts';

const KEYS = [
  ...DELEGATION_KEYS,
  ...INSTALLATION_KEYS,
  ...INGRESS_KEYS,
  ...BACKEND_KEYS,
  ...EC2_KEYS,
  ...GCE_KEYS,
  ...GROUP_KEYS,
  ...HOOK_KEYS,
];
describeKeys(KEYS);

/** Keys of the schema as the rows above write them. Backends have tests of their own. */
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
  it('has tests for every key', () => {
    const tested = KEYS.map(({ path }) => path);
    const missing = leaves(createConfigSchema(), '').filter(
      (leaf) => !tested.some((path) => path === leaf || path.startsWith(`${leaf}.`)),
    );
    expect(missing).toEqual([]);
  });

  it('reports all problems at once, each with its position', () => {
    const text = aConfigFile({ top: 'bogus: 1\nname: CI', group: '    max: many' });
    expect(findProblems(text).map(({ line, column, path }) => ({ line, column, path }))).toEqual([
      { line: 2, column: 1, path: 'name' },
      { line: 15, column: 5, path: 'groups[0].max' },
      { line: 1, column: 1, path: 'bogus' },
    ]);
  });

  it('reports a problem as file, line, column, key and message', () => {
    expect(() => parseText(aConfigFile().replace('backend: here', 'backend: there'))).toThrow(
      'baton.yaml:13:5: groups[0].backend: there is no backend "there"; there is here',
    );
  });

  it('reports invalid YAML with its position', () => {
    expect(findProblems('name: [')).toMatchObject([{ line: 1 }]);
  });

  it('reports the required keys of an empty file', () => {
    expect(() => parseText('')).toThrow(/forge: required, but not given/);
  });

  it('names the variable of a secret that is not set', () => {
    expect(() => readSecret({ env: 'NOT_SET' }, {})).toThrow('environment variable NOT_SET is not set');
    expect(readSecret({ env: 'SET' }, { SET: 'x' })).toBe('x');
  });
});
