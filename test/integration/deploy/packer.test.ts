import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it, type TestContext } from 'vitest';

/** The template of a baked image, held against Packer itself where that is on PATH. */

const TEMPLATE = fileURLToPath(new URL('../../../deploy/machines/packer', import.meta.url));
const VARIABLES = {
  runner_url: 'https://example.com/runner.tar.gz',
  runner_sha256: 'a'.repeat(64),
  project: 'acme-ci',
};
const PLUGINS = ['packer-plugin-amazon', 'packer-plugin-googlecompute'];

/** @returns what it said; rejects with that when it is not content */
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
  beforeEach(({ skip }) => skip(version === undefined, 'there is no packer on PATH'));

  /** Its plugins come from a registry of its own, by `packer init`. */
  async function needPlugins({ skip }: TestContext): Promise<void> {
    const installed = await packer('plugins', 'installed');
    const missing = PLUGINS.filter((plugin) => !installed.includes(plugin));
    skip(missing.length > 0, `not installed: ${missing.join(', ')}`);
  }

  it('is written as Packer would write it, and reads well', async () => {
    expect(await packer('fmt', '-check', '.')).toBe('');
    expect(await packer('validate', '-syntax-only', '.')).toContain('Everything looks okay');
  });

  it('asks its plugins for what they know', async (context) => {
    await needPlugins(context);
    expect(await validate()).toContain('The configuration is valid');
  });

  it('takes no checksum that is none', async (context) => {
    await needPlugins(context);
    await expect(validate({ runner_sha256: 'latest' })).rejects.toMatchObject({
      stdout: expect.stringContaining('64 lower-case hex digits'),
    });
  });
});
