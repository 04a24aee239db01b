import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { limitConnections } from '../../../services/ingress/connection-limit.ts';
import { until } from '../../support/until.ts';

let server: Server;
let port = 0;
let refused = 0;
let open: Socket[] = [];

beforeEach(async () => {
  refused = 0;
  server = createServer();
  limitConnections(server, {
    limits: { perCaller: 2, total: 6 },
    trusted: ['127.0.1.0/24'],
    onRefused: () => (refused += 1),
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = z.object({ port: z.number() }).parse(server.address()).port;
});
afterEach(() => {
  for (const socket of open) socket.destroy();
  open = [];
  server.close();
});

async function openFrom(localAddress: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress });
  open.push(socket);
  socket.on('error', () => undefined);
  socket.resume();
  await once(socket, 'connect');
  return socket;
}

function countConnections(): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

describe('the limits of connections', () => {
  it('close what one address opens beyond its share, and leave it to the others', async () => {
    const [first] = [await openFrom('127.0.0.1'), await openFrom('127.0.0.1')];
    await once(await openFrom('127.0.0.1'), 'close');
    expect(refused).toBe(1);
    await openFrom('127.0.0.2');
    await until(async () => (await countConnections()) === 3);
    // A closed one makes room.
    first.destroy();
    await until(async () => (await countConnections()) === 2);
    await openFrom('127.0.0.1');
    await until(async () => (await countConnections()) === 3);
    expect(refused).toBe(1);
  });

  it('count those of trusted proxies together with all others only', async () => {
    for (let count = 0; count < 6; count++) await openFrom('127.0.1.7');
    await until(async () => (await countConnections()) === 6);
    expect(refused).toBe(0);
    await once(await openFrom('127.0.0.2'), 'close');
    await until(() => refused === 1);
  });
});
