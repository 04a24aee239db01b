import { describe, expect, it } from 'vitest';
import { examineConnections } from '../../../../contracts/lib/examine-connections.ts';
import { parseConfig } from '../../../../contracts/lib/load-config.ts';
import { aConfigFile } from '../../../support/a-config-file.ts';

const examine = (top: string, backend?: string): string[] =>
  examineConnections(parseConfig(aConfigFile({ top, ...(backend && { backend }) }), 'baton.yaml'));

describe('the connections of a configuration', () => {
  it.each([
    ['the defaults', '# nothing'],
    ['localhost by name', 'nats: { url: "nats://localhost:4222" }\ntemporal: { address: "localhost:7233" }'],
    ['an IPv6 loopback address', 'nats: { url: "nats://[::1]:4222" }\ntemporal: { address: "[::1]:7233" }'],
    ['several loopback servers', 'nats: { url: "127.0.0.1:4222, 127.0.0.2:4222" }'],
    [
      'TLS everywhere',
      'nats: { url: "nats://n.test:4222", tls: true }\ntemporal: { address: "t.test:7233", tls: true }',
    ],
    ['an API key of Temporal', 'temporal: { address: "t.test:7233", api_key: "${KEY}" }'],
  ])('are not warned of: %s', (_what, top) => {
    expect(examine(top)).toEqual([]);
  });

  it.each([
    ['nats: { url: "nats://n.test:4222" }', /^nats\.url: nats:\/\/n\.test:4222 is not this machine, .* Set nats\.tls$/],
    ['nats: { url: "10.0.0.7:4222" }', /^nats\.url: 10\.0\.0\.7:4222 is not this machine/],
    ['nats: { url: "127.0.0.1:4222,n.test:4222" }', /^nats\.url: n\.test:4222 is not this machine/],
    ['nats: { url: "nats://localhost.evil.test:4222" }', /^nats\.url/],
    ['nats: { url: "tls://n.test:4222" }', /^nats\.url: the `tls` in tls:\/\/n\.test:4222 does not require TLS/],
    ['temporal: { address: "t.test:7233" }', /^temporal\.address: .*neither TLS nor an API key.*Set temporal\.tls/],
  ])('are warned of, once: %s', (top, warning) => {
    expect(examine(top)).toEqual([expect.stringMatching(warning)]);
  });

  it('are warned of for the instances of a backend, too', () => {
    expect(examine('# nothing', '    { type: docker, nats_url: "nats://n.test:4222" }')).toEqual([
      expect.stringMatching(/^backends\.here\.nats_url: nats:\/\/n\.test:4222 is not this machine/),
    ]);
    expect(examine('nats: { tls: true }', '    { type: docker, nats_url: "nats://n.test:4222" }')).toEqual([]);
  });
});
