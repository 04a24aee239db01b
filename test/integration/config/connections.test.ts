import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { aConfigFile } from '../../support/a-config-file.ts';
import { temporaryFolder } from '../../support/cleanup.ts';

const CLI = fileURLToPath(new URL('../../../services/cli/main.ts', import.meta.url));
const folder = temporaryFolder('connections');
afterAll(() => folder.remove());

function check(top: string): { status: number | null; stdout: string } {
  const file = join(folder.path, 'baton.yaml');
  writeFileSync(file, aConfigFile({ top }));
  return spawnSync(process.execPath, [CLI, 'config', 'check', '--offline', file], {
    encoding: 'utf8',
    timeout: 30_000,
  });
}

describe('`baton config check`', () => {
  it('warns of connections that leave this machine without TLS, and of nothing else', () => {
    const open = check('nats: { url: "nats://n.test:4222" }\ntemporal: { address: "t.test:7233" }');
    expect(open.status).toBe(0);
    expect(open.stdout).toContain('  warning: nats.url: nats://n.test:4222 is not this machine');
    expect(open.stdout).toContain('  warning: temporal.address: t.test:7233 is not this machine');
    const closed = check(
      'nats: { url: "nats://n.test:4222", tls: true }\ntemporal: { address: "t.test:7233", tls: true }',
    );
    expect(closed.status).toBe(0);
    expect(closed.stdout).not.toContain('warning');
  });
});
