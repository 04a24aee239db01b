import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** `baton config check` measures what a cloud's instances boot with: EC2 takes 16 kB. */

const CLI = fileURLToPath(new URL('../../../services/cli/main.ts', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../../deploy/docs/examples/', import.meta.url));

/** @param group what the example's group has besides */
function check(example: string, group: string, env: NodeJS.ProcessEnv = {}): { status: number | null; said: string } {
  const folder = mkdtempSync(join(tmpdir(), 'baton-config-'));
  try {
    const file = join(folder, 'baton.yaml');
    const given = readFileSync(`${EXAMPLES}${example}.yaml`, 'utf8');
    writeFileSync(file, `${given.trimEnd()}\n${group}\n`);
    const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, 'config', 'check', file], options);
    return { status, said: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Of the example's last group, kB. */
const measured = (said: string): number => Number([...said.matchAll(/user data (\d+\.\d) of 16 kB/g)].at(-1)?.[1]);

describe('user data', () => {
  it.each(['ec2', 'gce'])('of %s is told, with the group’s hooks in it', (example) => {
    const plain = check(example, '');
    expect(plain.status).toBe(0);
    const more = check(example, `    notice: ${'n'.repeat(2048)}`);
    expect(measured(more.said) - measured(plain.said)).toBeGreaterThan(1.9);
  });

  it('counts secrets by their values', () => {
    const group = `    env: { TOKEN: '\${BATON_TEST_TOKEN}' }`;
    expect(check('ec2', group).status).toBe(0);
    const { status, said } = check('ec2', group, { BATON_TEST_TOKEN: 't'.repeat(12_000) });
    expect(status).toBe(1);
    expect(said).toMatch(/user data of ci-linux-x+: \d{5} bytes, above the limit of 16384/);
    expect(said).not.toContain('ttt');
  });

  it('of more than 16 kB is refused', () => {
    const { status, said } = check('ec2', `    env: { LONG: '${'l'.repeat(12_000)}' }`);
    expect(status).toBe(1);
    expect(said).toMatch(/above the limit of 16384/);
  });
});
