import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { backendConfig } from '../../../contracts/config/backend.ts';
import { aConfigFile } from '../../support/a-config-file.ts';

const EXAMPLES = fileURLToPath(new URL('../../../deploy/docs/examples/', import.meta.url));
const examples = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'));

function baton(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const cli = fileURLToPath(new URL('../../../services/cli/main.ts', import.meta.url));
  return spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' });
}

const printed: unknown = JSON.parse(baton('config', 'schema').stdout);
const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);
const fits = ajv.compile(Object(printed));

describe('the examples of the documentation', () => {
  it.each(backendConfig.options.map(({ shape }) => shape.type.value))(
    'backend %s has a guide and an example',
    (type) => {
      expect(examples).toContain(`${type}.yaml`);
      const page = readFileSync(`${EXAMPLES}../guides/backends/${type}.md`, 'utf8');
      expect(page).toContain(`(../../examples/${type}.yaml)`);
    },
  );

  it.each(examples)('%s passes `baton config check`', (name) => {
    const { status, stdout, stderr } = baton('config', 'check', '--offline', `${EXAMPLES}${name}`);
    expect(stderr).toBe('');
    expect(stdout).toContain(`${name} is valid`);
    expect(status).toBe(0);
  });

  it.each(examples)('%s is valid by the schema that editors use', (name) => {
    fits(parse(readFileSync(`${EXAMPLES}${name}`, 'utf8')));
    expect(fits.errors).toBeNull();
  });

  it('include a schema that equals the output of `baton config schema`', () => {
    const committed: unknown = JSON.parse(readFileSync(`${EXAMPLES}../reference/baton.schema.json`, 'utf8'));
    expect(committed).toEqual(printed);
  });

  it.each([
    ['an unknown key', { top: 'bogus: 1' }],
    ['a secret in the file', { forge: '  token: ghp_x' }],
    ['a wrong duration', { top: 'time_to_live: 10 minutes' }],
    ['an unknown backend type', { backend: '    type: vmware' }],
    ['a group without labels', { group: '  - { name: two, organization: acme, backend: here }' }],
  ])('come with a schema that refuses %s', (_what, parts) => {
    expect(fits(parse(aConfigFile()))).toBe(true);
    expect(fits(parse(aConfigFile(parts)))).toBe(false);
  });
});
