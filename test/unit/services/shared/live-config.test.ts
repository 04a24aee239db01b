import { afterAll, describe, expect, it } from 'vitest';
import type { Config } from '../../../../contracts/config/config.ts';
import { ConfigError } from '../../../../contracts/lib/load-config.ts';
import { LiveConfig } from '../../../../services/shared/live-config.ts';
import { temporaryFolder } from '../../../support/cleanup.ts';
import { aConfigFile } from '../../../support/a-config-file.ts';

const folder = temporaryFolder('live-config');
afterAll(() => folder.remove());

describe('the configuration of a running service', () => {
  it('is read again on reload, and passed to listeners even if nothing changed', async () => {
    const live = new LiveConfig(folder.write('baton.yaml', aConfigFile()));
    const received: number[] = [];
    live.onChange((config) => Promise.resolve(void received.push(config.groups[0]?.max ?? 0)));
    folder.write('baton.yaml', aConfigFile({ group: '    max: 7' }));
    expect(live.current.groups[0]?.max).toBe(20);
    expect(await live.reload()).toMatchObject({ changed: true, groups: 1, needsRestart: [] });
    expect(live.current.groups[0]?.max).toBe(7);
    // Listeners are called although nothing changed: they may have failed the last time.
    expect(await live.reload()).toMatchObject({ changed: false });
    expect(received).toEqual([7, 7]);
  });

  it('does not change when the file is invalid', async () => {
    const live = new LiveConfig(folder.write('baton.yaml', aConfigFile()));
    folder.write('baton.yaml', aConfigFile({ group: '    max: many' }));
    await expect(live.reload()).rejects.toThrow(ConfigError);
    expect(live.current.groups[0]?.max).toBe(20);
    folder.write('baton.yaml', aConfigFile({ group: '    max: 3' }));
    expect(await live.reload()).toMatchObject({ changed: true });
  });

  it('keeps the old values of keys that need a restart, and names these keys', async () => {
    const live = new LiveConfig(folder.write('baton.yaml', aConfigFile()));
    folder.write('baton.yaml', aConfigFile({ top: 'name: other\ntemporal: { address: "t:1" }', group: '    max: 3' }));
    expect(await live.reload()).toMatchObject({ needsRestart: ['name', 'temporal'] });
    expect(live.current).toMatchObject({ name: 'runner-manager', temporal: { address: '127.0.0.1:7233' } });
    expect(live.current.groups[0]?.max).toBe(3);
  });
});

describe('a newer configuration than that of the file', () => {
  const content = (max: number): Record<string, unknown> => ({
    backends: { here: { type: 'local' } },
    groups: [{ name: 'linux', organization: 'acme', labels: ['linux'], backend: 'here', max }],
    temporal: { address: 'newer:1' },
  });

  it('is used and passed to listeners once, but not the keys that concern one process only', async () => {
    const live = new LiveConfig(folder.write('baton.yaml', aConfigFile()));
    const received: Config[] = [];
    live.onChange((config) => Promise.resolve(void received.push(config)));
    expect(live.notice).toBeNull();
    live.use({ hash: 'newer', version: null, content: content(7) });
    await live.notifyChange();
    live.use({ hash: 'newer', version: null, content: content(7) });
    await live.notifyChange();
    expect(live.current).toMatchObject({ groups: [{ max: 7 }], temporal: { address: '127.0.0.1:7233' } });
    expect(received).toEqual([live.current]);
    expect(live.notice).toContain('older than the newest configuration');
    live.use(undefined);
    await live.notifyChange();
    expect(received).toMatchObject([{ groups: [{ max: 7 }] }, { groups: [{ max: 20 }] }]);
    expect(live.notice).toBeNull();
  });

  it('with keys that this version does not know changes nothing, and says which ones', async () => {
    const live = new LiveConfig(folder.write('baton.yaml', aConfigFile()));
    live.use({ hash: 'newer', version: null, content: { ...content(7), later: true } });
    expect(live.problem).toBe('later: unknown key');
    expect(live.notice).toContain('later: unknown key');
    expect(live.current.groups[0]?.max).toBe(20);
    live.use({ hash: 'newest', version: null, content: content(8) });
    expect(live.problem).toBeUndefined();
    expect(live.current.groups[0]?.max).toBe(8);
  });

  it('stays in use when the file is read again and is older still', async () => {
    const live = new LiveConfig(folder.write('baton.yaml', aConfigFile()));
    const applied: boolean[] = [];
    live.compareWith((isApplied) => {
      applied.push(isApplied);
      live.use(isApplied ? undefined : { hash: 'newer', version: null, content: content(7) });
      return Promise.resolve();
    });
    const { hash } = await live.reload();
    expect(live.current.groups[0]?.max).toBe(7);
    expect(await live.reload((read) => read === hash)).toMatchObject({ older: false });
    expect(live.current.groups[0]?.max).toBe(20);
    expect(applied).toEqual([false, true]);
  });

  it('holds however long, where its version is higher, and the notice says so', () => {
    const live = new LiveConfig(folder.write('baton.yaml', aConfigFile({ top: 'version: 2' })));
    live.use({ hash: 'newer', version: null, content: content(7) });
    expect(live.notice).toMatch(/or when no process has had the newest for 2 ?m/);
    live.use({ hash: 'newest', version: 3, content: content(7) });
    expect(live.notice).toMatch(/after baton apply$/);
  });

  it('reaches a listener that failed with the next attempt', async () => {
    const live = new LiveConfig(folder.write('baton.yaml', aConfigFile()));
    const received: number[] = [];
    live.onChange((config) => {
      received.push(config.groups[0]?.max ?? 0);
      return received.length === 1 ? Promise.reject(new Error('not now')) : Promise.resolve();
    });
    live.use({ hash: 'newer', version: null, content: content(7) });
    await expect(live.notifyChange()).rejects.toThrow('not now');
    await live.notifyChange();
    await live.notifyChange();
    expect(received).toEqual([7, 7]);
  });
});
