import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../../../contracts/lib/load-config.ts';
import { LiveConfig } from '../../../../services/shared/live-config.ts';
import { temporaryFolder } from '../../../support/cleanup.ts';
import { file } from '../../contracts/config/keys.ts';

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
  it('follows its file when it is told to, and tells who wants to know', async () => {
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

  it('stays as it was when the file is wrong', async () => {
    const live = new LiveConfig(write('baton.yaml', file()));
    write('baton.yaml', file({ group: '    max: many' }));
    await expect(live.reload()).rejects.toThrow(ConfigError);
    expect(live.current.groups[0]?.max).toBe(20);
    write('baton.yaml', file({ group: '    max: 3' }));
    expect(await live.reload()).toMatchObject({ changed: true });
  });

  it('keeps what only a new process can take up, and says so', async () => {
    const live = new LiveConfig(write('baton.yaml', file()));
    write('baton.yaml', file({ top: 'name: other\ntemporal: { address: "t:1" }', group: '    max: 3' }));
    expect(await live.reload()).toMatchObject({ needsRestart: ['name', 'temporal'] });
    expect(live.current).toMatchObject({ name: 'runner-manager', temporal: { address: '127.0.0.1:7233' } });
    expect(live.current.groups[0]?.max).toBe(3);
  });
});
