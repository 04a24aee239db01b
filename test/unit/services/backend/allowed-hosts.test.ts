import { describe, expect, it } from 'vitest';
import { toAllowedHosts } from '../../../../services/backend/allowed-hosts.ts';

describe('toAllowedHosts', () => {
  it.each([
    ['the host and the port of a URL', ['nats://10.0.0.9:4333'], ['10.0.0.9:4333']],
    [
      'the usual port of its protocol',
      ['nats://n', 'tls://t', 'https://h', 'http://p'],
      ['n:4222', 't:4222', 'h:443', 'p:80'],
    ],
    ['each of several servers, also without a protocol', ['nats://a:1, b:2,c'], ['a:1', 'b:2', 'c:4222']],
    [
      'the engine’s machine for its own loopback addresses',
      ['nats://127.0.0.1:4222', 'http://localhost:8090', 'http://[::1]:90'],
      ['host.docker.internal:4222', 'host.docker.internal:8090', 'host.docker.internal:90'],
    ],
    ['one entry for two equal ones', ['nats://a:1', 'http://a:1'], ['a:1']],
  ])('is %s', (_what, urls, expected) => {
    expect(toAllowedHosts(urls, [])).toEqual(expected);
  });

  it('has the further ports of the engine’s machine', () => {
    expect(toAllowedHosts(['https://github.com'], [3128])).toEqual(['github.com:443', 'host.docker.internal:3128']);
  });
});
