import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { scanMarked } from '../../../activities/backends/local/process-identity.ts';
import { LocalBackend } from '../../../activities/backends/local/local.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import { anInstanceSpec } from '../../support/an-instance-spec.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { until } from '../../support/until.ts';
import { BOOTSTRAP } from './candidate.ts';
import { never } from './world.ts';

const root = temporaryFolder('local-removal');
const installation = `r${randomUUID().slice(0, 8)}`;
const toFolder = (runner: string): string => join(root.path, installation, runner);

afterAll(() => {
  // Unlike Node, it deletes what has a longer path than the kernel accepts.
  execFileSync('rm', ['-rf', root.path]);
  root.remove();
});

function open(command = ['sleep', '300']): LocalBackend {
  const agent = { hash: '', files: [], archive: Buffer.from('') };
  return new LocalBackend({ installation, root: root.path, command, agent, log: createLogger('test', 'silent') });
}

async function isAlive(runner: string): Promise<boolean> {
  return (await scanMarked()).has(toFolder(runner));
}

/** A job's leftovers: folders in folders, with a path that is too long to name. */
const DIG = `for (let depth = 0; depth < 30; depth++) {
  require('node:fs').mkdirSync('x'.repeat(200));
  process.chdir('x'.repeat(200));
}
console.log('deep enough');`;

describe('the removal of an instance of the local backend', () => {
  it.each([
    ['folder was removed', (path: string) => rmSync(path, { recursive: true })],
    ['record was removed', (path: string) => rmSync(join(path, 'instance.json'))],
    ['record is damaged', (path: string) => writeFileSync(join(path, 'instance.json'), '{"ver')],
    ['process file was removed', (path: string) => rmSync(join(path, 'process.json'))],
    ['process file is damaged', (path: string) => writeFileSync(join(path, 'process.json'), '{"pid":')],
    ['process file is empty', (path: string) => writeFileSync(join(path, 'process.json'), '')],
  ])('ends its process where its %s', async (what, damage) => {
    const runner = what.replaceAll(' ', '-');
    await open().create(anInstanceSpec(installation, runner), BOOTSTRAP, never);
    expect(await isAlive(runner)).toBe(true);
    damage(toFolder(runner));
    await open().delete(runner, never);
    expect(await isAlive(runner)).toBe(false);
    expect(existsSync(toFolder(runner))).toBe(false);
  });

  it('fails with BACKEND_UNAVAILABLE where its files cannot be deleted, with its process ended; then it is gone', async () => {
    const backend = open([process.execPath, '-e', `${DIG} setInterval(() => undefined, 1000);`]);
    await backend.create(anInstanceSpec(installation, 'deep'), BOOTSTRAP, never);
    await until(() => readFileSync(join(toFolder('deep'), 'log'), 'utf8').includes('deep enough'), {
      what: 'the instance left its files',
    });
    await expect(backend.delete('deep', never)).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringMatching(/removing the files of .*deep: ENAMETOOLONG/),
    });
    expect(await isAlive('deep')).toBe(false);
    await backend.delete('deep', never);
    expect(await backend.list(never)).toEqual([]);
  });

  it('watches although old files cannot be deleted', async () => {
    const left = join(root.path, installation, '.gone-before');
    mkdirSync(left, { recursive: true });
    execFileSync(process.execPath, ['-e', DIG], { cwd: left });
    utimesSync(left, 0, 0);
    const backend = open();
    const ending = new AbortController();
    const death = Promise.withResolvers<unknown>();
    const watched = backend.watch(death.resolve, ending.signal);
    watched.catch(death.reject);
    const { id } = await backend.create(anInstanceSpec(installation, 'watched'), BOOTSTRAP, never);
    process.kill(-Number(id), 'SIGKILL');
    expect(await death.promise).toMatchObject({ runner: 'watched' });
    ending.abort();
    await watched;
    await backend.delete('watched', never);
  });
});
