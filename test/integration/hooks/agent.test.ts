import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  INNER_SECRET,
  isRunning,
  JIT_CONFIG,
  JOB_ENV,
  readText,
  startAgent,
  startAgentWorld,
  type AgentWorld,
  type TestAgent,
} from '../../support/agent.ts';
import { until } from '../../support/until.ts';

/** Reads the JIT config as GitHub's runner does: the job doesn't get it. */
const READ_JIT_CONFIG = 'jit=$ACTIONS_RUNNER_INPUT_JITCONFIG; unset ACTIONS_RUNNER_INPUT_JITCONFIG';

let world: AgentWorld;

beforeAll(async () => {
  world = await startAgentWorld();
});

afterAll(() => world.stop());

beforeEach(() => {
  world.answers.splice(0, world.answers.length, { ok: true, jitConfig: JIT_CONFIG });
});

describe('the life of an agent', () => {
  it.each(['bash -e', 'sh -e'])(
    'registers, runs the program and sends all four signals, with hooks under %s',
    async (shell) => {
      const agent = await startAgent(
        world,
        `test $# = 0 || exit 9
       ${READ_JIT_CONFIG}
       test -n "$jit" || exit 9
       ${JOB_ENV}
       ${shell} "$ACTIONS_RUNNER_HOOK_JOB_STARTED"; echo "started hook: $?"
       echo working
       ${shell} "$ACTIONS_RUNNER_HOOK_JOB_COMPLETED"; echo "completed hook: $?"
       env > env.txt
       exit 3`,
      );
      expect(await agent.exited).toEqual({ code: 0, signal: null });
      const exited = await world.signal(agent.runner, 'exited');
      expect(exited).toMatchObject({ code: 3, signal: null });
      expect(exited.logTail).toContain('started hook: 0\nworking\ncompleted hook: 0\n');
      expect(exited.logTail).not.toContain('::warning::');
      expect(world.findSignals(agent.runner).map(({ kind }) => kind)).toEqual([
        'online',
        'started',
        'completed',
        'exited',
      ]);
      const job = { runId: 4711, runAttempt: 2, repository: 'octo-org/app', workflow: 'Build it', jobKey: 'build' };
      expect(await world.signal(agent.runner, 'started')).toMatchObject({ job });
      expect(await world.signal(agent.runner, 'completed')).toMatchObject({ job });
      // There is no secret on disk or in the job's environment.
      expect(existsSync(join(agent.folder, 'bootstrap.json'))).toBe(false);
      const env = readText(join(agent.folder, 'program', 'env.txt'));
      expect(env).not.toMatch(/BATON_BOOTSTRAP|NATS/);
      expect(env).not.toContain(JIT_CONFIG);
    },
  );

  it('gives the program its JIT config where no argument list of a process shows it', async () => {
    // Its own one: tests beside this give theirs to programs as arguments.
    const jitConfig = Buffer.from(JSON.stringify({ '.runner': randomUUID() })).toString('base64');
    world.answers.splice(0, world.answers.length, { ok: true, jitConfig });
    const agent = await startAgent(
      world,
      `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' > arguments.txt
       ${READ_JIT_CONFIG}
       printf '%s' "$jit" > given.txt`,
    );
    await agent.exited;
    const seen = readText(join(agent.folder, 'program', 'arguments.txt'));
    expect(seen, 'the program sees arguments of other processes').toContain(join(agent.folder, 'agent'));
    expect(seen).toContain('./run.sh');
    expect(readText(join(agent.folder, 'program', 'given.txt'))).toBe(jitConfig);
    expect(seen).not.toContain(jitConfig);
  });

  it('masks the JIT config, what is inside it, and its own credential, in the log and in the tail', async () => {
    const agent = await startAgent(
      world,
      `${READ_JIT_CONFIG}
       printf 'config %s end\\n' "$jit"
       printf '%s' "$jit" | cut -c1-20 | tr -d '\\n'; sleep 0.2; printf '%s\\n' "$jit" | cut -c21-
       echo "inside: ${INNER_SECRET}"
       echo plain`,
    );
    await agent.exited;
    const { logTail } = await world.signal(agent.runner, 'exited');
    for (const text of [agent.output(), logTail]) {
      expect(text).toContain('config *** end');
      expect(text).toContain('***\ninside: ***\nplain\n');
      expect(text).not.toContain(JIT_CONFIG.slice(21));
      expect(text).not.toContain(INNER_SECRET);
    }
  });

  it('sends at most the last 8 kB of the output, at a whole character', async () => {
    const agent = await startAgent(world, `i=0; while [ $i -lt 3000 ]; do echo "Zeile € $i"; i=$((i+1)); done`);
    await agent.exited;
    const { logTail } = await world.signal(agent.runner, 'exited');
    expect(Buffer.byteLength(logTail)).toBeLessThanOrEqual(8192);
    expect(Buffer.byteLength(logTail)).toBeGreaterThan(8180);
    expect(logTail).not.toContain('\uFFFD');
    expect(logTail.endsWith('Zeile € 2999\n')).toBe(true);
  });

  it('kills what the job left running, and does not wait for it', async () => {
    const agent = await startAgent(world, `sleep 300 & echo $! > child.pid; exit 0`);
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    await until(() => !isRunning(join(agent.folder, 'program', 'child.pid')));
  });
});

describe('registration', () => {
  it('retries while the registrar asks it to', async () => {
    const busy = { ok: false as const, code: 'FORGE_RATE_LIMITED', message: 'wait', retryable: true };
    world.answers.splice(0, 1, busy, busy, { ok: true, jitConfig: JIT_CONFIG });
    const before = world.requests.length;
    const agent = await startAgent(world, 'exit 0');
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    expect(world.requests.length - before).toBe(3);
  });

  it('waits for as long as the registrar says, and logs what it waits for', async () => {
    const message = 'wait about 1 s: others are first within the forge’s limits';
    const delayed = { ok: false as const, code: 'REGISTRATION_DELAYED', message, retryable: true, retryAfterMs: 800 };
    world.answers.splice(0, 1, delayed, { ok: true, jitConfig: JIT_CONFIG });
    const before = world.requests.length;
    const agent = await startAgent(world, 'exit 0');
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    const [first, second] = world.requests.slice(before);
    expect([first?.attempt, second?.attempt]).toEqual([0, 1]);
    const waited = (second?.at ?? 0) - (first?.at ?? 0);
    expect(waited).toBeGreaterThanOrEqual(790);
    expect(agent.output()).toContain(`waiting for the registration: ${message}`);
  });

  it('is asked for again after a refusal by the forge, even if an older registrar calls it final', async () => {
    const refused = { ok: false as const, code: 'FORGE_REFUSED', message: '403', retryable: false };
    world.answers.splice(0, 1, refused, { ok: true, jitConfig: JIT_CONFIG });
    const agent = await startAgent(world, 'exit 0');
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    expect(await world.signal(agent.runner, 'online')).toMatchObject({ runner: agent.runner });
  });

  it('gives up at a final refusal, reports the reason, and starts nothing', async () => {
    const refusal = {
      ok: false as const,
      code: 'REGISTRATION_REFUSED',
      message: 'its phase is removing',
      retryable: false,
    };
    world.answers.splice(0, world.answers.length, refusal);
    const agent = await startAgent(world, 'touch started');
    expect(await agent.exited).toEqual({ code: 1, signal: null });
    expect(await world.signal(agent.runner, 'exited')).toMatchObject({ code: null, signal: null });
    expect((await world.signal(agent.runner, 'exited')).logTail).toContain('its phase is removing');
    expect(world.findSignals(agent.runner)).toHaveLength(1);
    expect(existsSync(join(agent.folder, 'program', 'started'))).toBe(false);
  });
});

/** Waits until the agent is online, and its program has set its trap for SIGTERM. */
async function untilTrapped(agent: TestAgent): Promise<void> {
  await world.signal(agent.runner, 'online');
  await until(() => existsSync(join(agent.folder, 'program', 'trapped')));
}

describe('stopping', () => {
  it('passes SIGTERM to the program and reports its exit', async () => {
    const agent = await startAgent(
      world,
      `trap 'echo got TERM; exit 7' TERM; touch trapped; while :; do sleep 0.05; done`,
    );
    await untilTrapped(agent);
    agent.child.kill('SIGTERM');
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    expect(await world.signal(agent.runner, 'exited')).toMatchObject({ code: 7, logTail: 'got TERM\n' });
  });

  it('kills a program that ignores SIGTERM, with its whole process group', async () => {
    const agent = await startAgent(
      world,
      `trap '' TERM; sleep 301 & echo $! > child.pid; touch trapped; while :; do sleep 0.05; done`,
    );
    await untilTrapped(agent);
    agent.child.kill('SIGTERM');
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    expect(await world.signal(agent.runner, 'exited')).toMatchObject({ code: null, signal: 'SIGKILL' });
    await until(() => !isRunning(join(agent.folder, 'program', 'child.pid')));
  });

  it('ends with its program at the end of its time to live, and reports it', async () => {
    const agent = await startAgent(world, 'echo $$ > program.pid; while :; do sleep 0.05; done', {
      expiresAt: new Date(Date.now() + 4000),
    });
    // On a slow machine, its program may not have started by then.
    expect(await agent.exited).toMatchObject({ signal: null });
    expect(agent.output()).toContain('"state":"timed-out"');
    await world.signal(agent.runner, 'exited');
    const pidFile = join(agent.folder, 'program', 'program.pid');
    await until(() => !(existsSync(pidFile) && isRunning(pidFile)));
  });

  it('can be stopped while NATS cannot be reached', async () => {
    const agent = await startAgent(world, 'exit 0', { natsUrl: 'nats://127.0.0.1:1' });
    await agent.printed('connecting to NATS');
    agent.child.kill('SIGTERM');
    expect(await agent.exited).toEqual({ code: 0, signal: null });
  });
});

describe('the agent’s socket', () => {
  it('only its user can open it, and it refuses what is not from a hook', async () => {
    const agent = await startAgent(world, 'while [ ! -e stop ]; do sleep 0.05; done');
    await world.signal(agent.runner, 'online');
    const socket = join(agent.folder, 's', 'agent.sock');
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    expect(statSync(join(agent.folder, 's')).mode & 0o777).toBe(0o700);
    expect(readdirSync(agent.folder)).not.toContain('bootstrap.json');
    expect(await send(socket, 'nonsense\n')).toContain('not a line of JSON');
    const wrongKind = { version: 1, kind: 'exited', job: {}, waitMs: 0 };
    expect(await send(socket, `${JSON.stringify(wrongKind)}\n`)).toContain('wrong or missing: kind');
    expect(await send(socket, 'x'.repeat(20_000))).toBe('');
    agent.child.kill('SIGTERM');
    await agent.exited;
  });
});

function send(socket: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const connection = connect(socket, () => connection.write(text));
    connection.on('data', (chunk) => (answer += chunk.toString()));
    connection.on('error', () => resolve(answer));
    connection.on('close', () => resolve(answer));
  });
}
