import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { resolveHooks } from '../../../../activities/credentials/hook-secrets.ts';
import type { BootstrapFile } from '../../../../contracts/messages/bootstrap-file.ts';
import { parseConfig } from '../../../../contracts/lib/load-config.ts';
import { toGroupSettings } from '../../../../contracts/config/group-settings.ts';
import { createHookEnv } from '../../../../hooks/agent/hook-settings.ts';
import { temporaryFolder } from '../../../support/cleanup.ts';

const folder = temporaryFolder('hook-settings');
afterAll(() => folder.remove());

/** The hooks of a group with these settings, besides the required ones. */
function readHooks(more: string) {
  const config = parseConfig(
    `forge: { token: '\${TOKEN}' }
webhook: { secrets: ['\${SECRET}'] }
backends: { here: { type: local } }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: here${more} }
`,
    'baton.yaml',
  );
  const [group] = config.groups;
  if (group === undefined) throw new Error('no group');
  return toGroupSettings(config, group).instance.hooks;
}

const bootstrap = (hooks?: BootstrapFile['hooks']): BootstrapFile => ({
  version: 1,
  runner: 'r',
  natsUrl: 'nats://127.0.0.1:1',
  credentials: '',
  program: { directory: '/home/runner' },
  expiresAt: new Date().toISOString(),
  socket: join(folder.path, 's', 'agent.sock'),
  hooks,
});

describe('a group’s hook settings', () => {
  it('are absent if the group needs only the signals', async () => {
    expect(readHooks('')).toBeUndefined();
    expect(readHooks(', wrappers: [signal], hooks: { timeout: 5m }')).toBeUndefined();
    const env = await createHookEnv(bootstrap(), '/baton');
    expect(env).toMatchObject({
      ACTIONS_RUNNER_HOOK_JOB_STARTED: '/baton/job-started.sh',
      ACTIONS_RUNNER_HOOK_JOB_COMPLETED: '/baton/job-completed.sh',
    });
    expect(Object.keys(env)).not.toContain('BATON_HOOKS');
  });

  it('name secrets in histories, and contain their values only in the instance', async () => {
    const hooks =
      readHooks(`, env: { A: plain, B: '\${B_SECRET}' }, hooks: { policy: strict, timeout: 5s, shell: pwsh },
      wrappers: [/opt/one, { uses: /opt/other/one/, with: { key: '\${KEY}' }, timeout: 9s }]`);
    expect(hooks).toEqual({
      policy: 'strict',
      shell: 'pwsh',
      env: { A: 'plain', B: { env: 'B_SECRET' } },
      path: [],
      notices: [],
      wrappers: [
        { id: 'one', uses: '/opt/one', with: {}, env: {}, timeoutMs: 5000 },
        { id: 'one-2', uses: '/opt/other/one/', with: { key: { env: 'KEY' } }, env: {}, timeoutMs: 9000 },
      ],
    });
    if (hooks === undefined) throw new Error('no hooks');
    expect(() => resolveHooks(hooks, { B_SECRET: 'b' })).toThrow('environment variable KEY is not set');
    const resolved = resolveHooks(hooks, { B_SECRET: 'b', KEY: 'k' });
    expect(resolved).toMatchObject({ env: { A: 'plain', B: 'b' }, secrets: ['b', 'k'] });
    const env = await createHookEnv(bootstrap(resolved), '/baton');
    expect(env).toMatchObject({
      ACTIONS_RUNNER_HOOK_JOB_STARTED: '/baton/job-started.ps1',
      ACTIONS_RUNNER_HOOK_JOB_COMPLETED: '/baton/job-completed.ps1',
      BATON_HOOK_POLICY: 'strict',
    });
    const file = env['BATON_HOOKS'] ?? '';
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(resolved);
  });
});

describe('an image’s own hook scripts', () => {
  const image = {
    ACTIONS_RUNNER_HOOK_JOB_STARTED: '/opt/started.sh',
    ACTIONS_RUNNER_HOOK_JOB_COMPLETED: '/opt/completed.sh',
  };
  const readWrappers = (env: NodeJS.ProcessEnv): unknown[] => {
    const settings: { wrappers: unknown[] } = JSON.parse(readFileSync(env['BATON_HOOKS'] ?? '', 'utf8'));
    return settings.wrappers;
  };

  it('are a required part of Baton’s hooks, also where the group has no hooks', async () => {
    const env = await createHookEnv(bootstrap(), '/baton', image);
    expect(env).toMatchObject({
      ACTIONS_RUNNER_HOOK_JOB_STARTED: '/baton/job-started.sh',
      BATON_HOOK_POLICY: 'lenient',
      BATON_HOOK_REQUIRED: '1',
    });
    expect(readWrappers(env)).toMatchObject([
      { required: true, scripts: { started: '/opt/started.sh', completed: '/opt/completed.sh' } },
    ]);
  });

  it('yield to those that the configuration names', async () => {
    const settings = readHooks(
      ', hooks: { started: /etc/own.sh }, wrappers: [{ uses: /opt/a, required: true }, /opt/b]',
    );
    const hooks = settings && resolveHooks(settings, {});
    const env = await createHookEnv(bootstrap(hooks), '/baton', image);
    expect(readWrappers(env)).toMatchObject([
      { required: true, scripts: { started: '/etc/own.sh', completed: '/opt/completed.sh' } },
      { uses: '/opt/a', required: true },
      { uses: '/opt/b' },
    ]);
  });

  it('are none where an outer runner’s hooks are inherited, or where nothing is set', async () => {
    const outer = { ACTIONS_RUNNER_HOOK_JOB_STARTED: '/baton/job-started.sh', ACTIONS_RUNNER_HOOK_JOB_COMPLETED: '' };
    expect(await createHookEnv(bootstrap(), '/baton', outer)).not.toHaveProperty('BATON_HOOKS');
    expect(await createHookEnv(bootstrap(), '/baton', {})).not.toHaveProperty('BATON_HOOK_REQUIRED');
  });
});
