import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** `baton config check` measures the user data of cloud instances: EC2 takes 16 kB. */

const CLI = fileURLToPath(new URL('../../../services/cli/main.ts', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../../deploy/docs/examples/', import.meta.url));

/** @param group lines that are added to the example's last group */
function check(example: string, group: string, env: NodeJS.ProcessEnv = {}): { status: number | null; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'baton-config-'));
  try {
    const file = join(folder, 'baton.yaml');
    const given = readFileSync(`${EXAMPLES}${example}.yaml`, 'utf8');
    writeFileSync(file, `${given.trimEnd()}\n${group}\n`);
    const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [CLI, 'config', 'check', '--offline', file],
      options,
    );
    return { status, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The size for the example's last group, kB. */
const findSize = (output: string): number => Number([...output.matchAll(/user data (\d+\.\d) of 16 kB/g)].at(-1)?.[1]);

describe('the size of user data', () => {
  it.each(['ec2', 'gce'])('is printed for %s, and includes the group’s hooks', (example) => {
    const plain = check(example, '');
    expect(plain.status).toBe(0);
    const more = check(example, `    notice: ${'n'.repeat(2048)}`);
    expect(findSize(more.output) - findSize(plain.output)).toBeGreaterThan(1.9);
  });

  it('includes the values of secrets', () => {
    const group = `    env: { TOKEN: '\${BATON_TEST_TOKEN}' }`;
    expect(check('ec2', group).status).toBe(0);
    const { status, output } = check('ec2', group, { BATON_TEST_TOKEN: 't'.repeat(12_000) });
    expect(status).toBe(1);
    expect(output).toMatch(/user data of ci-linux-x+: \d{5} bytes, above the limit of 16384/);
    expect(output).not.toContain('ttt');
  });

  it('may be 16 kB at most', () => {
    const { status, output } = check('ec2', `    env: { LONG: '${'l'.repeat(12_000)}' }`);
    expect(status).toBe(1);
    expect(output).toMatch(/above the limit of 16384/);
  });
});
