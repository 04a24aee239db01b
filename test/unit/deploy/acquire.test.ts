import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { acquireServer, findCacheFolder } from '../../../deploy/servers/acquire.ts';
import { isAtLeast, getServerPlan } from '../../../deploy/servers/catalog.ts';
import { temporaryFolder } from '../../support/cleanup.ts';

const folder = temporaryFolder('some servers');
afterAll(() => folder.remove());
const dir = folder.path;

describe('acquireServer', () => {
  it('prefers an address in the environment', async () => {
    const env = { PATH: '/usr/bin', BATON_NATS_URL: 'nats://elsewhere:4222' };
    expect(await acquireServer('nats-server', env)).toEqual({ kind: 'address', address: 'nats://elsewhere:4222' });
  });

  it('uses a program in the cache, which is under XDG_CACHE_HOME or HOME', async () => {
    const plan = getServerPlan('temporal');
    const env = { PATH: join(dir, 'nothing'), HOME: join(dir, 'home') };
    const name = `temporal-${plan.version}-${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
    folder.write(`home/.cache/baton/servers/${name}`, '', 0o755);
    expect(await acquireServer('temporal', env)).toMatchObject({
      from: 'cache',
      path: join(findCacheFolder(env), name),
    });
    expect(findCacheFolder({ XDG_CACHE_HOME: '/x', HOME: '/h' })).toBe('/x/baton/servers');
  });
});

describe('the version of a server', () => {
  it.each([
    ['2.10.0', '2.10.0', true],
    ['2.9.9', '2.10.0', false],
    ['3.0.0', '2.10.0', true],
    ['1.29.1', '1.28.0', true],
  ])('%s is at least %s: %s', (found, minimum, expected) => {
    expect(isAtLeast(found, minimum)).toBe(expected);
  });

  it('is read from what its program prints', () => {
    expect(
      getServerPlan('temporal').versionPattern.exec('temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)')?.[1],
    ).toBe('1.29.1');
    expect(getServerPlan('nats-server').versionPattern.exec('nats-server: v2.15.2')?.[1]).toBe('2.15.2');
  });
});
