import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installBundle, startAgentWorld, type AgentWorld } from '../../support/agent.ts';

let world: AgentWorld;
let scripts: string;

beforeAll(async () => {
  world = await startAgentWorld();
  scripts = await installBundle(join(world.folder, 'alone'));
});

afterAll(() => world.stop());

interface Ran {
  code: number;
  output: string;
}

/** Runs a script as the forge's runner does, with only that environment. */
function run(shell: string, script: string, env: Record<string, string>): Promise<Ran> {
  return new Promise((resolve) => {
    const args = script === 'start.sh' ? [join(scripts, script)] : ['-e', join(scripts, script)];
    execFile(`/bin/${shell}`, args, { env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? -1);
      resolve({ code, output: stdout + stderr });
    });
  });
}

const job = {
  GITHUB_RUN_ID: '12',
  GITHUB_RUN_ATTEMPT: '1',
  GITHUB_REPOSITORY: 'octo-org/app',
  GITHUB_WORKFLOW: 'x'.repeat(600),
  GITHUB_JOB: 'test',
};

describe.each(['bash', 'sh'])('hooks without an agent, under %s', (shell) => {
  const base = { PATH: '/usr/bin:/bin', BATON_NODE: process.execPath, ...job };

  it('publish directly to NATS, with a credential file of the runner', async () => {
    const runner = `m-g-alone${shell.length}00`;
    const file = join(world.folder, `${runner}.creds`);
    writeFileSync(file, await world.mint(runner), { mode: 0o600 });
    const way = { BATON_NATS_URL: world.nats.address, BATON_NATS_CREDENTIALS: file, BATON_HOOK_TIMEOUT_MS: '60000' };
    const env = { ...base, ...way, RUNNER_NAME: runner };
    expect(await run(shell, 'job-started.sh', env)).toMatchObject({ code: 0, output: '' });
    const { job: signaled } = await world.signal(runner, 'started');
    expect(signaled).toMatchObject({ runId: 12, workflow: 'x'.repeat(500) });
    const other = await run(shell, 'job-completed.sh', { ...env, RUNNER_NAME: 'm-g-another0' });
    expect(other).toMatchObject({ code: 0 });
    expect(other.output).toMatch(/^::warning::Baton: .*\n$/);
  });

  it.each([
    ['nothing listens', { BATON_NATS_URL: 'nats://127.0.0.1:1', RUNNER_NAME: 'r' }],
    ['nothing is configured', {}],
    ['the agent has ended', { BATON_SIGNAL_SOCKET: '/nonexistent/agent.sock' }],
  ])('warn and let the job continue when %s', async (_name, more) => {
    const ran = await run(shell, 'job-started.sh', { ...base, ...more });
    expect(ran.code).toBe(0);
    expect(ran.output).toMatch(/^::warning::Baton: .*\n$/);
  });

  it.each(['nats', 'agent'])(
    'end at their timeout when the %s accepts connections and does not answer',
    async (what) => {
      const path = what === 'agent' ? join(world.folder, `${shell}.sock`) : undefined;
      const server = createServer(() => undefined);
      await new Promise<void>((resolve) =>
        path ? server.listen(path, resolve) : server.listen(0, '127.0.0.1', resolve),
      );
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const way: Record<string, string> = path
        ? { BATON_SIGNAL_SOCKET: path }
        : { BATON_NATS_URL: `nats://127.0.0.1:${port}`, RUNNER_NAME: 'r' };
      const ran = await run(shell, 'job-completed.sh', { ...base, ...way, BATON_HOOK_TIMEOUT_MS: '600' });
      server.close();
      expect(ran.code).toBe(0);
      expect(ran.output).toContain('::warning::Baton: ');
    },
  );

  it('warn and let the job continue if there is no Node', async () => {
    const ran = await run(shell, 'job-started.sh', { PATH: '/nonexistent', ...job });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.output).toContain('::warning::Baton: no Node was found');
  });
});

describe('start.sh', () => {
  it('prints where it looked when there is no Node, and exits with 69', async () => {
    const ran = await run('sh', 'start.sh', { PATH: '/nonexistent', BATON_PROGRAM_DIRECTORY: '/opt/none' });
    expect(ran.code).toBe(69);
    expect(ran.output).toContain('no Node 20 or newer in this instance');
    expect(ran.output).toContain('/opt/none/externals');
  });

  it.each(['node24', 'node20'])(
    'uses %s of the forge’s runner, and skips one that is too old or broken',
    async (name) => {
      const program = join(world.folder, `program-${name}`);
      const bin = join(program, 'externals', name, 'bin');
      mkdirSync(bin, { recursive: true });
      symlinkSync(process.execPath, join(bin, 'node'));
      const old = join(program, 'old');
      writeFileSync(old, '#!/bin/sh\necho v18.19.0\n');
      chmodSync(old, 0o755);
      const ran = await run('sh', 'start.sh', {
        PATH: '/nonexistent',
        BATON_PROGRAM_DIRECTORY: program,
        BATON_NODE: old,
      });
      // The agent started, and printed what is missing.
      expect(ran.output).toContain('BATON_BOOTSTRAP names no bootstrap file');
      expect(ran.code).toBe(1);
    },
  );
});
