import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../../../../contracts/lib/load-config.ts';
import { refreshEffective, readDocument, writeEffective } from '../../../../../services/cli/start/effective-config.ts';
import { temporaryFolder } from '../../../../support/cleanup.ts';
import { aConfigFile } from '../../../../support/a-config-file.ts';

const folder = temporaryFolder('effective-config');
afterAll(() => folder.remove());

describe('the effective configuration of `baton start`', () => {
  it('what `baton start` runs keeps its servers when its file changes', () => {
    const source = folder.write('mine.yaml', aConfigFile({ backend: '    type: docker' }));
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
    folder.write('mine.yaml', aConfigFile({ backend: '    type: docker', group: '    max: 2' }));
    const { before: earlier, after } = refreshEffective(source, effective);
    expect(earlier.groups[0]?.max).toBe(20);
    expect(after).toMatchObject({
      temporal: { address: '127.0.0.1:1', namespace: 'n', ui_url: 'http://127.0.0.1:2' },
      nats: { url: 'nats://127.0.0.1:3', account: 'A' },
      backends: { here: { nats_url: 'nats://host:3' } },
      groups: [{ max: 2 }],
    });
    const before = readFileSync(effective, 'utf8');
    folder.write('mine.yaml', aConfigFile({ group: '    max: many' }));
    expect(() => refreshEffective(source, effective)).toThrow(ConfigError);
    expect(readFileSync(effective, 'utf8')).toBe(before);
  });
});
