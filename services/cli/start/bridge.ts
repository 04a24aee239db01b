import { createServer, connect, type Server, type Socket } from 'node:net';

export interface Bridge {
  stop(): Promise<void>;
}

/**
 * Forwards TCP connections from `ports` of `address` to the same ports of 127.0.0.1. `address` is the gateway of Docker's own
 * bridge network: containers reach it, the local network doesn't, and nothing listens on all addresses.
 *
 * @throws the system's error, such as EADDRNOTAVAIL where the engine runs in a virtual machine (which then forwards
 *   host.docker.internal by itself)
 */
export async function startBridge(address: string, ports: readonly number[]): Promise<Bridge> {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();

  async function stop(): Promise<void> {
    for (const socket of sockets) socket.destroy();
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  function track(socket: Socket, other: () => Socket | undefined): void {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      other()?.destroy();
    });
  }

  try {
    for (const port of ports) {
      const server = createServer({ noDelay: true }, (inner) => {
        const outer: Socket = connect({ host: '127.0.0.1', port, noDelay: true });
        track(inner, () => outer);
        track(outer, () => inner);
        inner.pipe(outer).pipe(inner);
      });
      servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, address, resolve);
      });
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}
