import { connect, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../../../contracts/lib/free-ports.ts';
import { startBridge } from '../../../services/cli/start/bridge.ts';

/** Another address of the loopback network, instead of that of Docker's bridge. */
const ADDRESS = '127.0.0.2';

describe('startBridge', () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    port = await findFreePort();
    server = createServer((socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  });
  afterAll(() => server.close());

  function echo(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: ADDRESS, port });
      socket.once('error', reject);
      socket.once('data', (data) => {
        resolve(data.toString());
        socket.destroy();
      });
      socket.write(text);
    });
  }

  it('forwards connections, and closes the open ones when it is stopped', async () => {
    const bridge = await startBridge(ADDRESS, [port]);
    expect(await echo('hello')).toBe('hello');
    const open = connect({ host: ADDRESS, port });
    open.on('error', () => undefined);
    open.write('x');
    // Only now has the bridge surely accepted it.
    await new Promise((resolve) => open.once('data', resolve));
    const closed = new Promise((resolve) => open.once('close', resolve));
    await bridge.stop();
    await closed;
    await expect(echo('hello')).rejects.toThrow(/ECONNREFUSED|ECONNRESET/);
  });

  it('listens on no port when one of them is taken', async () => {
    const free = await findFreePort(ADDRESS);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(free, ADDRESS, resolve));
    const other = await findFreePort(ADDRESS);
    await expect(startBridge(ADDRESS, [other, free])).rejects.toMatchObject({ code: 'EADDRINUSE' });
    const again = await startBridge(ADDRESS, [other]);
    await again.stop();
    taken.close();
  });
});
