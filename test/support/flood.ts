import { connect } from 'node:net';

export interface FloodOrder {
  /** One whole HTTP request. */
  request: string;
  count: number;
  connections?: number;
  /** The address that it comes from: any of 127.0.0.0/8. */
  from?: string;
}

/**
 * Sends the same request many times, without waiting for the answers. Resolves with how many answers had each status.
 *
 * @throws Error where a connection ends before all of its answers came
 */
export async function flood(address: string, order: FloodOrder): Promise<Record<string, number>> {
  const { request, count, connections = 10, from = '127.0.0.1' } = order;
  const counts: Record<string, number> = {};
  const perConnection = Math.ceil(count / connections);
  const shares = Array.from({ length: connections }, (_, index) =>
    Math.max(0, Math.min(perConnection, count - index * perConnection)),
  );
  await Promise.all(
    shares.filter((share) => share > 0).map((share) => sendShare(new URL(address), { request, share, from, counts })),
  );
  return counts;
}

/** Requests of one connection that are under way at once. */
const BATCH = 100;

async function sendShare(
  { hostname, port }: URL,
  { request, share, from, counts }: { request: string; share: number; from: string; counts: Record<string, number> },
): Promise<void> {
  const socket = connect({ host: hostname, port: Number(port), localAddress: from });
  let sent = 0;
  let answered = 0;
  let tail = '';
  const send = (): void => {
    const batch = Math.min(BATCH, share - sent);
    sent += batch;
    socket.write(request.repeat(batch));
  };
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', send);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`the connection ended after ${answered} of ${share} answers`)));
    socket.setEncoding('latin1').on('data', (text: string) => {
      const received = tail + text;
      const statuses = [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)];
      for (const [, status = ''] of statuses) counts[status] = (counts[status] ?? 0) + 1;
      answered += statuses.length;
      // A status line may come in two parts.
      tail = received.slice(Math.max(received.length - 12, (statuses.at(-1)?.index ?? -13) + 13));
      if (answered === share) resolve();
      else if (answered === sent) send();
    });
  }).finally(() => socket.destroy());
}
