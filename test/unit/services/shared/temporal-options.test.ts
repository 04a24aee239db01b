import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { temporalConfig } from '../../../../contracts/config/servers.ts';
import { toTemporalOptions } from '../../../../services/shared/temporal-options.ts';
import { temporaryFolder } from '../../../support/cleanup.ts';

const folder = temporaryFolder('temporal-options');
afterAll(() => folder.remove());

describe('TLS to Temporal', () => {
  it('uses the files that the configuration names', () => {
    const tls = {
      ca: folder.write('ca', 'CA'),
      cert: folder.write('crt', 'CRT'),
      key: folder.write('key', 'KEY'),
      server_name: 'temporal',
    };
    expect(toTemporalOptions(temporalConfig.parse({ tls }))).toEqual({
      address: '127.0.0.1:7233',
      tls: {
        serverNameOverride: 'temporal',
        serverRootCACertificate: Buffer.from('CA'),
        clientCertPair: { crt: Buffer.from('CRT'), key: Buffer.from('KEY') },
      },
    });
    expect(toTemporalOptions(temporalConfig.parse({ tls: true }))).toMatchObject({ tls: true });
    expect(toTemporalOptions(temporalConfig.parse({}))).toEqual({ address: '127.0.0.1:7233' });
  });

  it('fails with the name of a file that cannot be read', () => {
    const config = temporalConfig.parse({ tls: { ca: join(folder.path, 'none') } });
    expect(() => toTemporalOptions(config)).toThrow(/certificate for Temporal, .*none/);
  });
});
