import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { temporaryFolder } from '../../support/cleanup.ts';

/** A proxy in front of the engine that can be cut: connections break, and new ones are refused. */
export async function startEngineProxy(
  engine: string,
): Promise<{ path: string; cut(): void; restore(): void; close(): Promise<void> }> {
  const folder = temporaryFolder('engine');
  const path = join(folder.path, 'docker.sock');
  const sockets = new Set<Socket>();
  let isConnected = true;
  const server = createServer((inner) => {
    if (!isConnected) {
      inner.destroy();
      return;
    }
    const outer = connect(engine);
    for (const socket of [inner, outer]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    inner.pipe(outer).pipe(inner);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const cut = (): void => {
    isConnected = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    path,
    cut,
    restore: () => {
      isConnected = true;
    },
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
      folder.remove();
    },
  };
}
