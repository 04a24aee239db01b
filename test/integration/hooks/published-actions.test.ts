import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HookBench, which, wrapper } from '../../support/hook.ts';

/**
 * Real published actions as wrappers, unchanged. They are in no package registry and not in this repository:
 * BATON_ACTIONS names a folder with clones of them (`checkout`, `cache` of github.com/actions, `ssh-agent` of
 * github.com/webfactory).
 */
const ACTIONS = process.env['BATON_ACTIONS'] ?? '';
const actionFolder = (name: string): string => join(ACTIONS, name);
const why = 'BATON_ACTIONS names no folder with a clone of it (no package registry has one)';
const isThere = (name: string): boolean => ACTIONS !== '' && existsSync(join(actionFolder(name), 'action.yml'));

let hooks: HookBench;

beforeAll(async () => {
  hooks = await HookBench.start();
});

afterAll(() => hooks.dispose());

/** A hash of the names and contents of all files in a folder. */
function fingerprint(folder: string): string {
  const hash = createHash('sha256');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const file of files.map((entry) => join(entry.parentPath, entry.name)).toSorted()) {
    hash.update(file).update(readFileSync(file));
  }
  return hash.digest('hex');
}

const git = (folder: string, ...args: string[]): void => {
  const identity = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'commit.gpgsign=false'];
  execFileSync('git', ['-C', folder, ...identity, ...args], { stdio: 'ignore' });
};

describe('published actions, byte for byte, as wrappers', () => {
  it('actions/checkout: its main checks out before the job’s first step, its post removes its credential', async (context) => {
    context.skip(!isThere('checkout'), why);
    const folder = actionFolder('checkout');
    const before = fingerprint(folder);
    const origin = join(hooks.folder, 'git', 'octo-org', 'demo');
    mkdirSync(origin, { recursive: true });
    git(origin, 'init', '--quiet', '--initial-branch=main');
    git(origin, 'commit', '--quiet', '--allow-empty', '--message=a commit to check out');
    const settings = wrapper(folder, {
      with: { token: 'ghp_of_the_checkout', ref: 'main', 'github-server-url': 'http://git.invalid' },
      env: {
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: `url.file://${hooks.folder}/git/.insteadOf`,
        GIT_CONFIG_VALUE_0: 'http://git.invalid/',
      },
    });
    const { own, started, completed, job } = await hooks.run({
      hooks: { wrappers: [settings] },
      steps: ['run: git log --format=%s; grep -rl "AUTHORIZATION" .git "$RUNNER_TEMP" && echo credential is there'],
    });
    expect(started.join('\n')).not.toContain('##[warning]');
    expect(job.conclusion).toBe('success');
    expect(own).toContain('\na commit to check out');
    expect(own).toContain('\ncredential is there');
    expect(completed.join('\n')).not.toMatch(/##\[(error|warning)\]/);
    expect(completed.join('\n')).toContain('unset');
    expect(fingerprint(folder)).toBe(before);
  });

  it('webfactory/ssh-agent: the job has an agent with the key, which is stopped after the job', async (context) => {
    context.skip(!isThere('ssh-agent'), why);
    context.skip(
      !['ssh-agent', 'ssh-add', 'ssh-keygen'].every((name) => which(name) !== undefined),
      'there is no OpenSSH client',
    );
    const folder = actionFolder('ssh-agent');
    const before = fingerprint(folder);
    const key = join(hooks.folder, 'key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'of the group', '-f', key]);
    const secret = readFileSync(key, 'utf8');
    const { own, completed, job } = await hooks.run({
      hooks: { secrets: [secret], wrappers: [wrapper(folder, { with: { 'ssh-private-key': secret } })] },
      steps: ['run: ssh-add -l; echo "socket $SSH_AUTH_SOCK"'],
      env: { HOME: hooks.folder },
    });
    expect(job.conclusion).toBe('success');
    expect(own).toContain('of the group (ED25519)');
    const socket = /\nsocket (\S+)/.exec(own)?.[1] ?? '';
    expect(socket).not.toBe('');
    expect(existsSync(socket)).toBe(false);
    expect(completed.join('\n')).toContain('Stopping SSH agent');
    expect(JSON.stringify(job.steps.map(({ log }) => log))).not.toContain(secret.split('\n')[1]);
    expect(fingerprint(folder)).toBe(before);
  });

  it('actions/cache: without a cache service, main and post print a message, and the job continues', async (context) => {
    context.skip(!isThere('cache'), why);
    const folder = actionFolder('cache');
    const before = fingerprint(folder);
    const { started, completed, job } = await hooks.run({
      hooks: { wrappers: [wrapper(folder, { with: { path: 'kept', key: 'a-key' } })] },
      steps: ['run: mkdir kept; echo 1 > kept/1'],
    });
    expect(job.conclusion).toBe('success');
    expect(started.join('\n')).toMatch(/[Cc]ache/);
    expect(completed.join('\n')).toMatch(/[Cc]ache/);
    expect(fingerprint(folder)).toBe(before);
  });
});
