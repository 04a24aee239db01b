import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { temporaryFolder } from '../../support/cleanup.ts';

/** A way to the engine that can be cut: connections break, and new ones are refused. */
export async function startEngineProxy(
  engine: string,
): Promise<{ path: string; cut(): void; mend(): void; close(): Promise<void> }> {
  const folder = temporaryFolder('engine');
  const path = join(folder.path, 'docker.sock');
  const sockets = new Set<Socket>();
  let whole = true;
  const server = createServer((inner) => {
    if (!whole) {
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
    whole = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    path,
    cut,
    mend: () => {
      whole = true;
    },
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
      folder.remove();
    },
  };
}
