import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSimulator, type Simulator } from '../../../services/simulator/simulator.ts';
import { SimControl } from '../../support/simulator-control.ts';
import { aConfigFile } from '../../support/a-config-file.ts';
import { temporaryFolder } from '../../support/cleanup.ts';

const CLI = fileURLToPath(new URL('../../../services/cli/main.ts', import.meta.url));
const run = promisify(execFile);
const folder = temporaryFolder('open-groups');
const TOKEN = 'ghp_reader';
let forge: Simulator;

beforeAll(async () => {
  forge = await startSimulator({ repositories: ['acme/app', 'acme/site', 'acme/docs', 'other/open'], tokens: [TOKEN] });
  await new SimControl(forge.address).setPrivate('acme/app', true);
});

afterAll(async () => {
  await forge.close();
  folder.remove();
});

async function check(group: string, { token = TOKEN, args = [] as string[] } = {}): Promise<string> {
  const file = join(folder.path, 'baton.yaml');
  writeFileSync(file, aConfigFile({ forge: `  url: ${forge.address}\n  token: \${TOKEN}`, group: `    ${group}` }));
  const env = { ...process.env, TOKEN: token };
  const { stdout } = await run(process.execPath, [CLI, 'config', 'check', ...args, file], { env, timeout: 60_000 });
  expect(stdout).toContain('is valid');
  return stdout;
}

describe('`baton config check` of a group that public repositories may use', () => {
  it('warns and names them, where the organisation has any', async () => {
    const text = await check('# group');
    expect(text).toContain(
      'warning: groups linux: public repositories may use it: acme/site, acme/docs. Whoever opens a',
    );
    expect(text).not.toContain('acme/app');
    expect(text).not.toContain('open,');
  });

  it('warns of those in its list alone', async () => {
    expect(await check('repositories: [APP, Docs]')).toContain('may use it: acme/docs. Whoever');
    expect(await check('repositories: [app]')).not.toContain('warning');
  });

  it.each([
    ['that is closed to them', 'allow_public_repositories: false'],
    ['that is adopted: it is never opened', 'adopt: true'],
    ['of one repository', 'repository: site'],
  ])('says nothing of one %s', async (_what, group) => {
    expect(await check(group)).not.toMatch(/warning|public/);
  });

  it('says so where the forge does not answer, and asks nothing with --offline', async () => {
    expect(await check('# group', { token: 'ghp_wrong' })).toMatch(
      /not known whether acme has public repositories: \S+: status 401/,
    );
    const before = forge.log.since().length;
    expect(await check('# group', { args: ['--offline'] })).not.toMatch(/warning|public/);
    expect(forge.log.since().length).toBe(before);
  });
});
