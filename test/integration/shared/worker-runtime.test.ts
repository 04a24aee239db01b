import { createSocket } from 'node:dgram';
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { createLogger } from '../../../contracts/lib/log.ts';
import { installRuntime } from '../../../services/shared/worker-runtime.ts';

it('installRuntime has the SDK listen on a port that it reserved, so on none that another process found free', async () => {
  const url = new URL(await installRuntime(createLogger('test', 'silent'), new Registry()));
  expect((await fetch(url)).status).toBe(200);
  // A port is reserved by the UDP socket of the same number.
  const socket = createSocket('udp4');
  const outcome = await new Promise((resolve) => {
    socket.once('error', resolve);
    socket.bind({ port: Number(url.port), address: url.hostname, exclusive: true }, () => resolve('bound'));
  });
  expect(outcome).toMatchObject({ code: 'EADDRINUSE' });
});
