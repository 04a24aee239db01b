import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../../../../contracts/lib/load-config.ts';
import { refreshEffective, readDocument, writeEffective } from '../../../../../services/cli/start/effective-config.ts';
import { temporaryFolder } from '../../../../support/cleanup.ts';
import { file } from '../../../contracts/config/keys.ts';

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder('effective-config');
});
afterEach(() => {
  folder.remove();
});
const write = (name: string, text: string): string => {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
};

describe('the effective configuration of `baton start`', () => {
  it('what `baton start` runs keeps its servers when its file changes', () => {
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
});
