import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../../../contracts/lib/load-config.ts';
import { LiveConfig } from '../../../../services/shared/live-config.ts';
import { temporaryFolder } from '../../../support/cleanup.ts';
import { aConfigFile } from '../../../support/a-config-file.ts';

const folder = temporaryFolder('live-config');
afterAll(() => folder.remove());

describe('a running service’s configuration', () => {
  it('follows its file when it is told to, and tells who wants to know', async () => {
    const live = new LiveConfig(folder.write('baton.yaml', aConfigFile()));
    const heard: number[] = [];
    live.onChange((config) => Promise.resolve(void heard.push(config.groups[0]?.max ?? 0)));
    folder.write('baton.yaml', aConfigFile({ group: '    max: 7' }));
    expect(live.current.groups[0]?.max).toBe(20);
    expect(await live.reload()).toMatchObject({ changed: true, groups: 1, needsRestart: [] });
    expect(live.current.groups[0]?.max).toBe(7);
    // Told again although nothing changed: the last time it may have failed.
    expect(await live.reload()).toMatchObject({ changed: false });
    expect(heard).toEqual([7, 7]);
  });

  it('stays as it was when the file is wrong', async () => {
    const live = new LiveConfig(folder.write('baton.yaml', aConfigFile()));
    folder.write('baton.yaml', aConfigFile({ group: '    max: many' }));
    await expect(live.reload()).rejects.toThrow(ConfigError);
    expect(live.current.groups[0]?.max).toBe(20);
    folder.write('baton.yaml', aConfigFile({ group: '    max: 3' }));
    expect(await live.reload()).toMatchObject({ changed: true });
  });

  it('keeps what only a new process can take up, and says so', async () => {
    const live = new LiveConfig(folder.write('baton.yaml', aConfigFile()));
    folder.write('baton.yaml', aConfigFile({ top: 'name: other\ntemporal: { address: "t:1" }', group: '    max: 3' }));
    expect(await live.reload()).toMatchObject({ needsRestart: ['name', 'temporal'] });
    expect(live.current).toMatchObject({ name: 'runner-manager', temporal: { address: '127.0.0.1:7233' } });
    expect(live.current.groups[0]?.max).toBe(3);
  });
});
