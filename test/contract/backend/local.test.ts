import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { identify } from '../../../activities/backends/local/identify.ts';
import { scanMarked } from '../../../activities/backends/local/process-identity.ts';
import { InstanceFolder } from '../../../activities/backends/local/instance-folder.ts';
import { LocalBackend } from '../../../activities/backends/local/local.ts';
import { Spawner } from '../../../activities/backends/local/spawner.ts';
import { hashSpec } from '../../../activities/backends/spec-hash.ts';
import type { Backend, InstanceSpec } from '../../../contracts/ports/backend.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import { bundleAgent } from '../../../services/backend/agent-bundle.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { until } from '../../support/until.ts';
import { anInstanceSpec } from '../../support/an-instance-spec.ts';
import { BOOTSTRAP } from './candidate.ts';
import { ROWS } from './rows.ts';
import { backendContract } from './suite.ts';

const root = temporaryFolder('local');
const agent = await bundleAgent();
const log = createLogger('test', 'silent');
const never = new AbortController().signal;

afterAll(() => root.remove());

function open(installation: string, command?: string[]): Backend {
  return new LocalBackend({ installation, root: root.path, command, agent, log });
}

async function leftovers(installations: string[]): Promise<string[]> {
  const marked = [...(await scanMarked()).entries()].map(([folder, pids]) => `${folder}: ${pids.join(' ')}`);
  const processes = marked.filter((text) =>
    installations.some((installation) => text.startsWith(join(root.path, installation, '/'))),
  );
  const folders = installations.flatMap((installation) => {
    const path = join(root.path, installation);
    return existsSync(path) ? readdirSync(path).filter((name) => !/^\.(agent|new|gone)-/.test(name)) : [];
  });
  return [...processes, ...folders];
}

/** A process that does not run. */
const DEAD_PROCESS = { pid: 4_000_000, started: 'long ago' };

const NO_TAGS = 'a process has no tags';
const ONE_MACHINE = 'there is only one machine';

/** The rows about an API, and about lists that lag behind. */
const NO_API = ROWS.slice(
  ROWS.indexOf('creates an instance while the API throttles'),
  ROWS.indexOf('lists more than 1,000 instances'),
);

function makeFolder(spec: InstanceSpec): void {
  const { installation, group, runner } = spec;
  const parent = join(root.path, installation);
  mkdirSync(parent, { recursive: true });
  const created = { version: 1 as const, installation, group, runner, hash: hashSpec(spec), createdAt: '2026-01-01' };
  new InstanceFolder(parent, runner).create(created, DEAD_PROCESS);
}

/** Creates instances whose process died before it started them. */
async function many(installation: string, count: number): Promise<() => Promise<void>> {
  for (let index = 0; index < count; index++) {
    makeFolder(anInstanceSpec(installation, `${installation}-linux-${String(index).padStart(8, '0')}`));
  }
  return () => rm(join(root.path, installation), { recursive: true });
}

backendContract('local', () =>
  Promise.resolve({
    against: 'processes',
    open,
    spec: anInstanceSpec,
    config: { type: 'local', root: root.path },
    killAfterMs: [0, 2, 5, 10, 25],
    partialCreates: [
      ['a folder without a process', (spec) => Promise.resolve(makeFolder(spec))],
      [
        'a process that was not recorded',
        async (spec) => {
          await open(spec.installation).create(spec, BOOTSTRAP, never);
          const folder = join(root.path, spec.installation, spec.runner);
          rmSync(join(folder, 'process.json'));
          rmSync(join(folder, 'claim-1'));
          writeFileSync(join(folder, 'claim-1'), JSON.stringify(DEAD_PROCESS));
        },
      ],
    ],
    kill: ({ id }) => {
      process.kill(-Number(id), 'SIGKILL');
      return Promise.resolve();
    },
    killed: { exitCode: 137, reason: /137|SIGKILL/ },
    listLeftovers: leftovers,
    createMany: many,
    absent: {
      'tags an instance with its job, twice and by two processes at once, and changes no other tag': NO_TAGS,
      'tags no instance that never existed, and none of another installation': NO_TAGS,
      ...Object.fromEntries(NO_API.map((row) => [row, 'there is no API, only processes and folders on this machine'])),
      'uses the next placement when one has no capacity, and starts there next time': ONE_MACHINE,
      'reports that no placement has capacity, and creates the instance as soon as one has': ONE_MACHINE,
    },
  }),
);

describe('the local backend by itself', () => {
  const installation = `l${randomUUID().slice(0, 8)}`;
  const toFolder = (runner: string): string => join(root.path, installation, runner);

  it('runs a command instead of the agent, records its output and exit code, and gives it no bootstrap file', async () => {
    const backend = open(installation, ['sh', '-c', 'echo hello; ls -a; env; exit 4']);
    const ending = new AbortController();
    const death = new Promise((resolve) => void backend.watch(resolve, ending.signal));
    await backend.create(anInstanceSpec(installation, 'command-1'), BOOTSTRAP, never);
    expect(await death).toMatchObject({
      runner: 'command-1',
      state: 'dead',
      exitCode: 4,
      reason: 'exited with code 4',
    });
    ending.abort();
    const output = readFileSync(join(toFolder('command-1'), 'log'), 'utf8');
    expect(output).toMatch(/^hello\n/);
    expect(output).not.toMatch(/bootstrap|BATON_(?!INSTANCE)|SECRET/i);
    await backend.delete('command-1', never);
    expect(await leftovers([installation])).toEqual([]);
  });

  it('refuses a command that cannot be started, with an error that is not retryable', async () => {
    const backend = open(installation, ['/nonexistent/program']);
    const refused = backend.create(anInstanceSpec(installation, 'command-2'), BOOTSTRAP, never);
    await expect(refused).rejects.toMatchObject({ code: 'INSTANCE_INVALID', retryable: false });
    await backend.delete('command-2', never);
  });

  it('makes an instance’s folder readable only by its own user', async () => {
    const backend = open(installation);
    await backend.create(anInstanceSpec(installation, 'private-1'), BOOTSTRAP, never);
    expect(statSync(toFolder('private-1')).mode & 0o777).toBe(0o700);
    await until(() => !existsSync(join(toFolder('private-1'), 'bootstrap.json')), {
      what: 'the agent deleted its bootstrap file',
    });
    await backend.delete('private-1', never);
  });

  it('ends all processes of an instance, including those outside its process group', async () => {
    const script = `setsid sh -c 'trap "" TERM; echo $$ > away.pid; while :; do sleep 1; done' & trap '' TERM; while :; do sleep 1; done`;
    const backend = open(installation, ['sh', '-c', script]);
    await backend.create(anInstanceSpec(installation, 'daemon-1'), BOOTSTRAP, never);
    await until(() => existsSync(join(toFolder('daemon-1'), 'away.pid')), { what: 'both processes run' });
    const begun = Date.now();
    await backend.delete('daemon-1', never);
    expect(Date.now() - begun).toBeGreaterThan(9000);
    expect(await leftovers([installation])).toEqual([]);
  });

  it('starts no second agent for an instance that ran and ended after its creator had died', async () => {
    const creator = open(installation);
    const spec = anInstanceSpec(installation, 'orphan-1');
    await creator.create(spec, BOOTSTRAP, never);
    const folder = new InstanceFolder(join(root.path, installation), 'orphan-1');
    await until(() => !existsSync(join(folder.path, 'bootstrap.json')), {
      what: 'the agent deleted its bootstrap file',
    });
    const agent = folder.readProcess();
    if (agent === undefined) throw new Error('it was not written down');
    process.kill(-agent.pid, 'SIGKILL');
    await until(() => existsSync(join(folder.path, 'exit.json')), { what: 'its end is recorded' });
    // As if its creator had been killed right after it started the agent.
    rmSync(join(folder.path, 'exit.json'));
    rmSync(join(folder.path, 'process.json'));
    writeFileSync(join(folder.path, 'claim-1'), JSON.stringify(DEAD_PROCESS));
    const fresh = open(installation);
    const dead = { runner: 'orphan-1', state: 'dead', exitCode: null };
    expect(await fresh.create(spec, BOOTSTRAP, never)).toMatchObject(dead);
    expect(await open(installation).create(spec, BOOTSTRAP, never)).toMatchObject(dead);
    expect((await scanMarked()).get(folder.path)).toBeUndefined();
    const ending = new AbortController();
    expect(await new Promise((resolve) => void fresh.watch(resolve, ending.signal))).toMatchObject(dead);
    ending.abort();
    await fresh.delete('orphan-1', never);
    expect(await leftovers([installation])).toEqual([]);
  });

  it('does not end a process that has the pid of an ended instance', async () => {
    const backend = open(installation);
    const spec = anInstanceSpec(installation, 'recycled-1');
    await backend.create(spec, BOOTSTRAP, never);
    const innocent = open(installation, ['sleep', '300']);
    const other = await innocent.create(anInstanceSpec(installation, 'recycled-2'), BOOTSTRAP, never);
    // As if the first had ended, and the second had got its pid.
    const folder = new InstanceFolder(join(root.path, installation), 'recycled-1');
    const first = folder.readProcess();
    if (first === undefined) throw new Error('it was not written down');
    process.kill(-first.pid, 'SIGKILL');
    const started = first.started.replace(/\d+$/, '1');
    folder.write('process.json', { pid: Number(other.id), started });
    rmSync(join(folder.path, 'exit.json'), { force: true });
    const fresh = open(installation);
    expect(await fresh.describe('recycled-1', never)).toMatchObject({ state: 'dead' });
    await fresh.delete('recycled-1', never);
    expect(identify(Number(other.id))?.zombie).toBe(false);
    await innocent.delete('recycled-2', never);
  });

  it('keeps instances whose spawner was killed, reports their end, and starts others', async () => {
    const backend = open(installation, ['sleep', '300']);
    const { id } = await backend.create(anInstanceSpec(installation, 'lost-1'), BOOTSTRAP, never);
    const spawner = identify(Number(id))?.parent;
    if (spawner === undefined) throw new Error('the instance does not run');
    process.kill(spawner, 'SIGKILL');
    await until(() => identify(Number(id))?.parent !== spawner, { what: 'the spawner has ended' });
    expect(await backend.describe('lost-1', never)).toMatchObject({ state: 'running' });
    const ending = new AbortController();
    const death = new Promise((resolve) => void backend.watch(resolve, ending.signal));
    process.kill(-Number(id), 'SIGKILL');
    expect(await death).toMatchObject({ runner: 'lost-1', exitCode: null, reason: 'its process ended unobserved' });
    ending.abort();
    expect(await backend.create(anInstanceSpec(installation, 'lost-2'), BOOTSTRAP, never)).toMatchObject({
      state: 'running',
    });
    await backend.delete('lost-1', never);
    await backend.delete('lost-2', never);
    expect(await leftovers([installation])).toEqual([]);
  });

  it.each([
    ['goes on', 'SIGCONT' as const],
    ['is killed', 'SIGKILL' as const],
  ])(
    'starts an instance once when two backends create it, and the spawner of the first is stopped and then %s',
    async (_what, signal) => {
      const [first, second] = [open(installation, ['sleep', '300']), open(installation, ['sleep', '300'])];
      const { id } = await first.create(anInstanceSpec(installation, `warm-${signal}`), BOOTSTRAP, never);
      const spawner = identify(Number(id))?.parent;
      if (spawner === undefined) throw new Error('the instance does not run');
      const spec = anInstanceSpec(installation, `held-${signal}`);
      process.kill(spawner, 'SIGSTOP');
      const ordered = first.create(spec, BOOTSTRAP, never).catch((error: unknown) => error);
      await until(() => existsSync(join(toFolder(spec.runner), 'claim-1')), {
        what: 'the first backend has the claim',
      });
      const waiting = second.create(spec, BOOTSTRAP, never);
      // The order may still be carried out.
      expect(await Promise.race([waiting, sleep(400, 'waiting')])).toBe('waiting');
      process.kill(spawner, signal);
      const made = await waiting;
      expect(made).toMatchObject({ state: 'running' });
      expect(await ordered).toMatchObject(signal === 'SIGCONT' ? made : { code: 'BACKEND_UNAVAILABLE' });
      expect((await scanMarked()).get(toFolder(spec.runner))).toEqual([Number(made.id)]);
      await second.delete(spec.runner, never);
      await first.delete(`warm-${signal}`, never);
      expect(await leftovers([installation])).toEqual([]);
    },
  );

  it('tells a program that cannot be started from a log that cannot be opened', async () => {
    const spawner = new Spawner();
    const order = { file: 'true', args: [], cwd: root.path, env: {}, log: join(root.path, 'spawned.log') };
    await expect(spawner.start({ ...order, file: '/nowhere/program' })).rejects.toThrow(/^(?!.*log).*ENOENT/);
    await expect(spawner.start({ ...order, log: '/nowhere/log' })).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
    });
    const { ended } = await spawner.start({ ...order, file: '/bin/true' });
    expect(await ended).toEqual({ code: 0, signal: null });
  });

  it('truncates a log that grows too long to its end', async () => {
    const backend = open(installation, ['sh', '-c', 'head -c 9000000 /dev/zero | tr "\\0" x; echo THE END; sleep 300']);
    await backend.create(anInstanceSpec(installation, 'chatty-1'), BOOTSTRAP, never);
    const file = join(toFolder('chatty-1'), 'log');
    await until(() => statSync(file).size === 9_000_008, { what: 'the log is written' });
    // The watch starts only now: it must not truncate the log before its end is written.
    const ending = new AbortController();
    const watched = backend.watch(() => undefined, ending.signal);
    await until(
      () => {
        const log = readFileSync(file, 'utf8');
        return log.length < 2_000_000 && log.endsWith('xTHE END\n');
      },
      { what: 'the log is truncated to its end' },
    );
    ending.abort();
    await watched;
    expect(statSync(file).size).toBeLessThan(2_000_000);
    await backend.delete('chatty-1', never);
  });
});
