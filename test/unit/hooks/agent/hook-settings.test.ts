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
