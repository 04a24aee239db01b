import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError } from '../../../contracts/lib/load-config.ts';
import { temporalConfig } from '../../../contracts/config/servers.ts';
import { refreshEffective, readDocument, writeEffective } from '../../../services/cli/start/effective-config.ts';
import { LiveConfig } from '../../../services/shared/live-config.ts';
import { temporalOptions } from '../../../services/shared/temporal-options.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { file } from '../../unit/contracts/config/keys.ts';

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder('live');
});
afterEach(() => {
  folder.remove();
});
const write = (name: string, text: string): string => {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
};

describe('a running service’s configuration', () => {
  test('follows its file when it is told to, and tells who wants to know', async () => {
    const live = new LiveConfig(write('baton.yaml', file()));
    const heard: number[] = [];
    live.onChange((config) => Promise.resolve(void heard.push(config.groups[0]?.max ?? 0)));
    write('baton.yaml', file({ group: '    max: 7' }));
    expect(live.current.groups[0]?.max).toBe(20);
    expect(await live.reload()).toMatchObject({ changed: true, groups: 1, needsRestart: [] });
    expect(live.current.groups[0]?.max).toBe(7);
    // Told again although nothing changed: the last time it may have failed.
    expect(await live.reload()).toMatchObject({ changed: false });
    expect(heard).toEqual([7, 7]);
  });

  test('stays as it was when the file is wrong', async () => {
    const live = new LiveConfig(write('baton.yaml', file()));
    write('baton.yaml', file({ group: '    max: many' }));
    await expect(live.reload()).rejects.toThrow(ConfigError);
    expect(live.current.groups[0]?.max).toBe(20);
    write('baton.yaml', file({ group: '    max: 3' }));
    expect(await live.reload()).toMatchObject({ changed: true });
  });

  test('keeps what only a new process can take up, and says so', async () => {
    const live = new LiveConfig(write('baton.yaml', file()));
    write('baton.yaml', file({ top: 'name: other\ntemporal: { address: "t:1" }', group: '    max: 3' }));
    expect(await live.reload()).toMatchObject({ needsRestart: ['name', 'temporal'] });
    expect(live.current).toMatchObject({ name: 'runner-manager', temporal: { address: '127.0.0.1:7233' } });
    expect(live.current.groups[0]?.max).toBe(3);
  });
});

test('what `baton start` runs keeps its servers when its file changes', () => {
  const source = write('mine.yaml', file({ backend: '    type: docker' }));
  const effective = join(folder.path, 'effective.yaml');
  writeEffective(
    readDocument(source),
    {
      temporal: { address: '127.0.0.1:1', namespace: 'n', uiUrl: 'http://127.0.0.1:2' },
      nats: { url: 'nats://127.0.0.1:3', account: 'A' },
      containerNatsUrl: 'nats://host:3',
    },
    effective,
  );
  write('mine.yaml', file({ backend: '    type: docker', group: '    max: 2' }));
  const { before: earlier, after } = refreshEffective(source, effective);
  expect(earlier.groups[0]?.max).toBe(20);
  expect(after).toMatchObject({
    temporal: { address: '127.0.0.1:1', namespace: 'n', ui_url: 'http://127.0.0.1:2' },
    nats: { url: 'nats://127.0.0.1:3', account: 'A' },
    backends: { here: { nats_url: 'nats://host:3' } },
    groups: [{ max: 2 }],
  });
  const before = readFileSync(effective, 'utf8');
  write('mine.yaml', file({ group: '    max: many' }));
  expect(() => refreshEffective(source, effective)).toThrow(ConfigError);
  expect(readFileSync(effective, 'utf8')).toBe(before);
});

describe('TLS to Temporal', () => {
  test('takes the files that the configuration names', () => {
    const tls = { ca: write('ca', 'CA'), cert: write('crt', 'CRT'), key: write('key', 'KEY'), server_name: 'temporal' };
    expect(temporalOptions(temporalConfig.parse({ tls }))).toEqual({
      address: '127.0.0.1:7233',
      tls: {
        serverNameOverride: 'temporal',
        serverRootCACertificate: Buffer.from('CA'),
        clientCertPair: { crt: Buffer.from('CRT'), key: Buffer.from('KEY') },
      },
    });
    expect(temporalOptions(temporalConfig.parse({ tls: true }))).toMatchObject({ tls: true });
    expect(temporalOptions(temporalConfig.parse({}))).toEqual({ address: '127.0.0.1:7233' });
  });

  test('names a file that can’t be read', () => {
    const config = temporalConfig.parse({ tls: { ca: join(folder.path, 'none') } });
    expect(() => temporalOptions(config)).toThrow(/certificate for Temporal, .*none/);
  });
});
