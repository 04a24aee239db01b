import { randomUUID } from 'node:crypto';
import { beforeAll, expect, it } from 'vitest';
import { buildInstanceImage } from '../../../../deploy/images/instance-image.ts';
import { describeUnless } from '../../../support/describe-unless.ts';
import { REMOVAL_IN_PROGRESS, whyNoDocker } from '../../../support/docker.ts';
import { startFaultProxy, type Call } from '../../../support/fault-proxy.ts';
import { BOOTSTRAP } from '../candidate.ts';
import { never } from '../world.ts';
import { aContainerSpec, docker, findLeftovers, IMAGE, openBackend, SOCKET } from './engine.ts';

describeUnless(await whyNoDocker(), 'the removal of a container', () => {
  beforeAll(async () => {
    await buildInstanceImage(docker, IMAGE);
  });

  it.each([
    ['a container is already being removed', /^\/containers\//, REMOVAL_IN_PROGRESS],
    [
      'a network still has its container',
      /^\/networks\//,
      { ...REMOVAL_IN_PROGRESS, status: 403, body: '{"message":"network x has active endpoints"}' },
    ],
    ['a network is already gone', /^\/networks\//, { ...REMOVAL_IN_PROGRESS, status: 404 }],
  ])('continues until nothing is left when the engine answers that %s', async (_what, path, answer) => {
    const installation = `r${randomUUID().slice(0, 8)}`;
    const proxy = await startFaultProxy(SOCKET);
    const socket = proxy.address.replace('http:', 'tcp:');
    const backend = openBackend(installation, { socket });
    const { runner } = await backend.create(aContainerSpec(installation, `${installation}-linux-a`), BOOTSTRAP, never);
    try {
      const when = (call: Call): boolean => call.method === 'DELETE' && path.test(call.path);
      const refused = proxy.inject({ when, times: 2, fault: { kind: 'answer', answer } });
      await backend.delete(runner, never);
      await refused.hit;
      expect(await findLeftovers([installation])).toEqual([]);
    } finally {
      await proxy.close();
      await openBackend(installation).delete(runner, never);
    }
  });
});
