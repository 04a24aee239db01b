import { connect, createServer, type Socket } from 'node:net';
import { findFreePort } from '../../contracts/lib/free-ports.ts';

export interface Balancer {
  url: string;
  stop(): Promise<void>;
}

/** A load balancer before several copies of a service: each connection goes to the next copy that accepts it. */
export async function startBalancer(targets: readonly string[]): Promise<Balancer> {
  const open = new Set<Socket>();
  let turn = 0;
  const server = createServer((incoming) => {
    open.add(incoming);
    incoming.on('close', () => open.delete(incoming));
    const attempt = (left: number): void => {
      const target = new URL(targets[turn++ % targets.length] ?? '');
      const outgoing = connect({ host: target.hostname, port: Number(target.port) });
      outgoing.once('connect', () => {
        open.add(outgoing);
        incoming.pipe(outgoing);
        outgoing.pipe(incoming);
      });
      outgoing.once('error', () => {
        if (left > 1 && !incoming.destroyed && incoming.bytesWritten === 0) attempt(left - 1);
        else incoming.destroy();
      });
      incoming.once('error', () => outgoing.destroy());
      outgoing.once('close', () => {
        open.delete(outgoing);
        if (outgoing.bytesRead > 0) incoming.destroy();
      });
    };
    attempt(targets.length);
  });
  const port = await findFreePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
