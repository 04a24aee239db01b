import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bundleAgent } from '../../../services/backend/agent-bundle.ts';
import { JIT_CONFIG, JOB_ENV, startAgent, startAgentWorld, type AgentWorld } from '../../support/agent.ts';
import { describeUnless } from '../../support/describe-unless.ts';

/** Faults in an instance, and how the agent and its hooks handle them. */
let world: AgentWorld;

beforeAll(async () => {
  world = await startAgentWorld();
});
afterAll(() => world.stop());
beforeEach(() => {
  world.answers.splice(0, world.answers.length, { ok: true, jitConfig: JIT_CONFIG });
});

const ALL = ['online', 'started', 'completed', 'exited'];

function listKinds(runner: string): string[] {
  return world.findSignals(runner).map(({ kind }) => kind);
}

/** Runs the agent in a mount namespace with a small tmpfs, which is removed with its last process. */
function onSmallDisk(options: string): (command: string[], folder: string) => string[] {
  return (command, folder) => {
    const disk = join(folder, 'disk');
    const script = `mkdir "$0" && mount -t tmpfs -o ${options} none "$0" && touch "$0/taken" && export HOME="$0" TMPDIR="$0" && exec "$@"`;
    return ['unshare', '--mount', 'sh', '-c', script, disk, ...command];
  };
}

function mayMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'sh', '-c', 'mount -t tmpfs none /mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('a full disk', () => {
  const here = mayMount();

  it('that fills up during a job delays neither its hooks nor its end', async (context) => {
    context.skip(!here, 'a small disk can be mounted by root alone');
    const agent = await startAgent(
      world,
      `${JOB_ENV}
      bash -e "$ACTIONS_RUNNER_HOOK_JOB_STARTED"; echo "hook $?"
      head -c 10000000 /dev/zero > "$HOME/fill" || echo "disk full"
      bash -e "$ACTIONS_RUNNER_HOOK_JOB_COMPLETED"; echo "hook $?"
      exit 6`,
      { wrap: onSmallDisk('size=1m'), socketFolder: (folder) => join(folder, 'disk', 's') },
    );
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    const { code, logTail } = await world.signal(agent.runner, 'exited');
    expect(code).toBe(6);
    expect(logTail).toContain('disk full\n');
    expect(logTail.match(/^hook 0$/gm)).toHaveLength(2);
    expect(listKinds(agent.runner)).toEqual(ALL);
  });

  it('that is full from the start accepts no job, and reports why', async (context) => {
    context.skip(!here, 'a small disk can be mounted by root alone');
    const asked = world.requests.length;
    const agent = await startAgent(world, 'touch started', {
      // Two inodes: the root's, and one that is in use.
      wrap: onSmallDisk('size=64k,nr_inodes=2'),
      socketFolder: (folder) => join(folder, 'disk', 's'),
    });
    expect(await agent.exited).toEqual({ code: 1, signal: null });
    const { logTail } = await world.signal(agent.runner, 'exited');
    expect(logTail).toMatch(/listening for hooks at .*no space left on device/);
    expect(world.requests.length).toBe(asked);
    expect(existsSync(join(agent.folder, 'program', 'started'))).toBe(false);
  });
});

describe('a hook that is killed', () => {
  it('does not fail the job, whose end is still reported', async () => {
    // A hook waits while NATS cannot be reached: long enough to be found.
    const agent = await startAgent(
      world,
      `${JOB_ENV}
      while [ ! -e go ]; do sleep 0.02; done
      bash -e "$ACTIONS_RUNNER_HOOK_JOB_STARTED" & hook=$!
      until [ -n "$killed" ]; do
        for child in $(cat /proc/$hook/task/$hook/children); do
          grep -q signal.mjs /proc/$child/cmdline 2>/dev/null && kill -9 $child && killed=1
        done
        sleep 0.02
      done
      wait $hook; echo "killed hook $?"
      BATON_HOOK_TIMEOUT_MS=8000 bash -e "$ACTIONS_RUNNER_HOOK_JOB_COMPLETED"; echo "hook $?"`,
      { env: { BATON_HOOK_TIMEOUT_MS: '60000' } },
    );
    await world.signal(agent.runner, 'online');
    await world.nats.halt();
    agent.go();
    await agent.printed('hook 0\n');
    await agent.printed('\nhook 0');
    await world.nats.resume();
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    const { logTail } = await world.signal(agent.runner, 'exited');
    expect(logTail).toContain('killed hook 0\n');
    expect(logTail).toContain('\nhook 0\n');
    // The killed hook may have sent its signal before; the others come in order. One whose acknowledgement was lost
    // with NATS comes again with the same id.
    const kinds = new Set(listKinds(agent.runner).filter((kind) => kind !== 'started'));
    expect([...kinds]).toEqual(['online', 'completed', 'exited']);
  });
});

/** Debian's libfaketime, where it is installed. */
const FAKETIME = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((file) => existsSync(file));

describeUnless(FAKETIME === undefined ? 'libfaketime is not installed' : undefined, 'a clock that is wrong', () => {
  it.each([
    ['fast', '+10m', 600_000],
    ['slow', '-10m', -600_000],
  ])('does not shorten a runner’s five minutes when it is ten minutes %s', async (_name, offset, expected) => {
    const agent = await startAgent(
      world,
      `${JOB_ENV}
      bash -e "$ACTIONS_RUNNER_HOOK_JOB_STARTED"; echo "hook $?"
      bash -e "$ACTIONS_RUNNER_HOOK_JOB_COMPLETED"; echo "hook $?"`,
      {
        expiresAt: new Date(Date.now() + 300_000),
        env: { LD_PRELOAD: FAKETIME ?? '', FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' },
      },
    );
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    const { at, code } = await world.signal(agent.runner, 'exited');
    expect(code).toBe(0);
    expect(listKinds(agent.runner)).toEqual(ALL);
    // It really was wrong.
    const off = new Date(at).getTime() - Date.now();
    expect(Math.abs(off - expected)).toBeLessThan(200_000);
  });
});

describe('a job that prints a gigabyte', () => {
  it('fills neither the memory nor the disk of its instance, and its last lines are reported', async () => {
    const line = 'a line of a hundred characters, as a build prints it when all of its verbose options are switched on';
    const agent = await startAgent(
      world,
      `${JOB_ENV}
      yes "${line}" | head -c 1073741824
      # And one without any end of line.
      head -c 50000000 /dev/zero | tr '\\0' x
      echo; grep VmHWM /proc/$PPID/status
      bash -e "$ACTIONS_RUNNER_HOOK_JOB_COMPLETED"; echo "hook $?"
      echo "the last line"`,
    );
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    const { logTail } = await world.signal(agent.runner, 'exited');
    const peak = Number(/VmHWM:\s+(\d+) kB/.exec(logTail)?.[1]) * 1024;
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThan(400 * 1024 ** 2);
    expect(Buffer.byteLength(agent.output())).toBeLessThan(17 * 1024 ** 2);
    expect(agent.output()).toContain('the rest is not logged');
    expect(agent.output()).toMatch(/"omitted":1\d{9},/);
    expect(logTail.endsWith('hook 0\nthe last line\n')).toBe(true);
    expect(listKinds(agent.runner)).toContain('completed');
    // Takes two seconds of CPU time, which can be long on a busy machine.
  }, 300_000);
});

describe('the bundle', () => {
  it('is smaller than 1.5 MB, and contains no Temporal or Docker client', async () => {
    const { files } = await bundleAgent();
    const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
    expect(bytes).toBeLessThan(1_500_000);
    for (const { content } of files)
      expect(content.includes('temporal.api') || content.includes('docker-modem')).toBe(false);
  });
});
