import { afterAll, describe, expect, it } from 'vitest';
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
