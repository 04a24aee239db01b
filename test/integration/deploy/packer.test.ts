import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it, type TestContext } from 'vitest';

/** The template of the baked image, checked by Packer itself where that is on PATH. */

const TEMPLATE = fileURLToPath(new URL('../../../deploy/machines/packer', import.meta.url));
const VARIABLES = {
  runner_url: 'https://example.com/runner.tar.gz',
  runner_sha256: 'a'.repeat(64),
  project: 'acme-ci',
};
const PLUGINS = ['packer-plugin-amazon', 'packer-plugin-googlecompute'];

/** @returns Packer's output; rejects with it when Packer fails */
async function packer(...args: string[]): Promise<string> {
  const env = { ...process.env, CHECKPOINT_DISABLE: '1' };
  const { stdout } = await promisify(execFile)('packer', args, { cwd: TEMPLATE, env, timeout: 100_000 });
  return stdout;
}

function validate(more: Partial<typeof VARIABLES> = {}): Promise<string> {
  const variables = Object.entries({ ...VARIABLES, ...more }).map(([name, value]) => `-var=${name}=${value}`);
  return packer('validate', ...variables, '.');
}

const version = await packer('version').catch(() => undefined);

describe('the Packer template', () => {
  beforeEach(({ skip }) => skip(version === undefined, 'needs packer on PATH'));

  /** Skips the test without the plugins, which `packer init` downloads from Packer's own registry. */
  async function requirePlugins({ skip }: TestContext): Promise<void> {
    const installed = await packer('plugins', 'installed');
    const missing = PLUGINS.filter((plugin) => !installed.includes(plugin));
    skip(missing.length > 0, `needs the plugins ${missing.join(', ')}`);
  }

  it('is formatted as Packer does it, and has no syntax error', async () => {
    expect(await packer('fmt', '-check', '.')).toBe('');
    expect(await packer('validate', '-syntax-only', '.')).toContain('Everything looks okay');
  });

  it('is valid for its plugins', async (context) => {
    await requirePlugins(context);
    expect(await validate()).toContain('The configuration is valid');
  });

  it('refuses a checksum that is not a SHA-256', async (context) => {
    await requirePlugins(context);
    await expect(validate({ runner_sha256: 'latest' })).rejects.toMatchObject({
      stdout: expect.stringContaining('64 lower-case hex digits'),
    });
  });
});
