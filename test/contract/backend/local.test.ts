import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { identify, scanMarked } from '../../../activities/backends/local/process-identity.ts';
import { InstanceFolder } from '../../../activities/backends/local/instance-folder.ts';
import { LocalBackend } from '../../../activities/backends/local/local.ts';
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

/** Somebody who surely runs no more. */
const DEAD_MAKER = { pid: 4_000_000, started: 'long ago' };

const NO_TAGS = 'a process has no tags';
const ONE_MACHINE = 'there is only one machine';

/** From the first row about an API to the last, and what lags. */
const NO_API = ROWS.slice(
  ROWS.indexOf('creates an instance while the API throttles'),
  ROWS.indexOf('lists more than 1,000 instances'),
);

async function makeFolder(spec: InstanceSpec): Promise<void> {
  const { installation, group, runner } = spec;
  const parent = join(root.path, installation);
  mkdirSync(parent, { recursive: true });
  const created = { version: 1 as const, installation, group, runner, hash: hashSpec(spec), createdAt: '2026-01-01' };
  await new InstanceFolder(parent, runner).create(created, DEAD_MAKER);
}

/** Instances whose maker died before anything ran. */
async function many(installation: string, count: number): Promise<() => Promise<void>> {
  for (let index = 0; index < count; index++) {
    await makeFolder(anInstanceSpec(installation, `${installation}-linux-${String(index).padStart(8, '0')}`));
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
    halfMade: [
      ['the folder, and nothing in it runs', makeFolder],
      [
        'a process that nobody wrote down',
        async (spec) => {
          await open(spec.installation).create(spec, BOOTSTRAP, never);
          const folder = join(root.path, spec.installation, spec.runner);
          rmSync(join(folder, 'process.json'));
          rmSync(join(folder, 'claim-1'));
          writeFileSync(join(folder, 'claim-1'), JSON.stringify(DEAD_MAKER));
        },
      ],
    ],
    kill: ({ id }) => {
      process.kill(-Number(id), 'SIGKILL');
      return Promise.resolve();
    },
    killed: { exitCode: 137, reason: /137|SIGKILL/ },
    leftovers,
    many,
    absent: {
      'tags an instance with its job, twice and by two processes at once, and changes no other tag': NO_TAGS,
      'tags no instance that never existed, and none of another installation': NO_TAGS,
      ...Object.fromEntries(NO_API.map((row) => [row, 'there is no API, only processes and folders of this machine'])),
      'uses the next placement when one has no capacity, and starts there next time': ONE_MACHINE,
      'reports that no placement has capacity, and creates the instance as soon as one has': ONE_MACHINE,
    },
  }),
);

describe('the local backend by itself', () => {
  const installation = `l${randomUUID().slice(0, 8)}`;
  const folderOf = (runner: string): string => join(root.path, installation, runner);

  it('runs a command in place of the agent, keeps its output and its exit code, and gives it no bootstrap file', async () => {
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
    const output = readFileSync(join(folderOf('command-1'), 'log'), 'utf8');
    expect(output).toMatch(/^hello\n/);
    expect(output).not.toMatch(/bootstrap|BATON_(?!INSTANCE)|SECRET/i);
    await backend.delete('command-1', never);
    expect(await leftovers([installation])).toEqual([]);
  });

  it('says what is wrong with a command that can’t be started, and is not asked again', async () => {
    const backend = open(installation, ['/nonexistent/program']);
    const refused = backend.create(anInstanceSpec(installation, 'command-2'), BOOTSTRAP, never);
    await expect(refused).rejects.toMatchObject({ code: 'INSTANCE_INVALID', retryable: false });
    await backend.delete('command-2', never);
  });

  it('hides what it keeps from other users', async () => {
    const backend = open(installation);
    await backend.create(anInstanceSpec(installation, 'private-1'), BOOTSTRAP, never);
    expect(statSync(folderOf('private-1')).mode & 0o777).toBe(0o700);
    await until(() => !existsSync(join(folderOf('private-1'), 'bootstrap.json')), {
      what: 'the agent took its bootstrap file',
    });
    await backend.delete('private-1', never);
  });

  it('ends all that an instance started, also what left its process group', async () => {
    const script = `setsid sh -c 'trap "" TERM; echo $$ > away.pid; while :; do sleep 1; done' & trap '' TERM; while :; do sleep 1; done`;
    const backend = open(installation, ['sh', '-c', script]);
    await backend.create(anInstanceSpec(installation, 'daemon-1'), BOOTSTRAP, never);
    await until(() => existsSync(join(folderOf('daemon-1'), 'away.pid')), { what: 'both run' });
    const begun = Date.now();
    await backend.delete('daemon-1', never);
    expect(Date.now() - begun).toBeGreaterThan(9000);
    expect(await leftovers([installation])).toEqual([]);
  });

  it('that did its work after its maker had died, and ended, is dead: no second agent comes', async () => {
    const maker = open(installation);
    const spec = anInstanceSpec(installation, 'orphan-1');
    await maker.create(spec, BOOTSTRAP, never);
    const folder = new InstanceFolder(join(root.path, installation), 'orphan-1');
    await until(() => !existsSync(join(folder.path, 'bootstrap.json')), { what: 'the agent took its bootstrap file' });
    const agent = await folder.readProcess();
    if (agent === undefined) throw new Error('it was not written down');
    process.kill(-agent.pid, 'SIGKILL');
    await until(() => existsSync(join(folder.path, 'exit.json')), { what: 'its end is written down' });
    // As its maker would have left it, killed right after it had started the agent.
    rmSync(join(folder.path, 'exit.json'));
    rmSync(join(folder.path, 'process.json'));
    writeFileSync(join(folder.path, 'claim-1'), JSON.stringify(DEAD_MAKER));
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

  it('never touches a process that got the pid of a dead one', async () => {
    const backend = open(installation);
    const spec = anInstanceSpec(installation, 'recycled-1');
    await backend.create(spec, BOOTSTRAP, never);
    const innocent = open(installation, ['sleep', '300']);
    const other = await innocent.create(anInstanceSpec(installation, 'recycled-2'), BOOTSTRAP, never);
    // As if the first had ended, and its pid had gone to the second.
    const folder = new InstanceFolder(join(root.path, installation), 'recycled-1');
    const first = await folder.readProcess();
    if (first === undefined) throw new Error('it was not written down');
    process.kill(-first.pid, 'SIGKILL');
    const started = first.started.replace(/\d+$/, '1');
    await folder.write('process.json', { pid: Number(other.id), started });
    rmSync(join(folder.path, 'exit.json'), { force: true });
    const fresh = open(installation);
    expect(await fresh.describe('recycled-1', never)).toMatchObject({ state: 'dead' });
    await fresh.delete('recycled-1', never);
    expect(identify(Number(other.id))?.zombie).toBe(false);
    await innocent.delete('recycled-2', never);
  });

  it('cuts logs that grow too long, and keeps their end', async () => {
    const backend = open(installation, ['sh', '-c', 'head -c 9000000 /dev/zero | tr "\\0" x; echo THE END; sleep 300']);
    await backend.create(anInstanceSpec(installation, 'chatty-1'), BOOTSTRAP, never);
    const file = join(folderOf('chatty-1'), 'log');
    await until(() => statSync(file).size === 9_000_008, { what: 'it wrote' });
    // Watched only from here on: a cut before its end was written would not be the one that is looked at.
    const ending = new AbortController();
    const watched = backend.watch(() => undefined, ending.signal);
    await until(
      () => {
        const log = readFileSync(file, 'utf8');
        return log.length < 2_000_000 && log.endsWith('xTHE END\n');
      },
      { what: 'it was cut, its end kept' },
    );
    ending.abort();
    await watched;
    expect(statSync(file).size).toBeLessThan(2_000_000);
    await backend.delete('chatty-1', never);
  });
});
