import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Docker from 'dockerode';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../support/cleanup.ts';
import { readFiles, startContainerCollector } from '../../support/evidence.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { jsonAnswer } from '../../support/removal-ending.ts';

it('leaves out a container that is removed between the list and the look at it', async () => {
  const engine = await startFaultProxy('http://127.0.0.1:1', ({ path }) => {
    if (path.startsWith('/networks')) return Promise.resolve(jsonAnswer(200, []));
    if (path.startsWith('/containers/kept/json')) return Promise.resolve(jsonAnswer(200, { Name: '/kept' }));
    if (!path.startsWith('/containers/json')) return Promise.resolve(jsonAnswer(404, { message: 'No such container' }));
    return Promise.resolve(
      jsonAnswer(200, [
        { Id: 'removed', State: 'running' },
        { Id: 'kept', State: 'running' },
      ]),
    );
  });
  const { hostname, port } = new URL(engine.address);
  const collector = startContainerCollector({ installation: 'any' }, new Docker({ host: hostname, port }));
  // Only `collect` is tested, not what it does by itself from time to time.
  collector.stop();
  try {
    const found = (await collector.collect()).map(({ where }) => where);
    expect(found.filter((where) => where.startsWith('inspect of '))).toEqual([
      'inspect of kept',
      'inspect of networks',
    ]);
  } finally {
    await engine.close();
  }
});

it('reads the files of a folder and its subfolders, and nothing where there is none any more', () => {
  const folder = temporaryFolder('evidence');
  try {
    mkdirSync(join(folder.path, 'inner'));
    writeFileSync(join(folder.path, 'inner', 'log'), 'x');
    expect(readFiles(folder.path).map(({ where }) => where)).toEqual([join(folder.path, 'inner', 'log')]);
    expect(readFiles(join(folder.path, 'removed'))).toEqual([]);
  } finally {
    folder.remove();
  }
});
