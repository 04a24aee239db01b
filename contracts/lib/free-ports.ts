import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { BatonError } from '../errors.ts';

/** Below are well-known ports and the usual ones of databases and web servers. */
const LOWEST = 15_000;

/** Linux’ default: its lower bound is the lowest of the systems that Baton runs on. */
const EPHEMERAL_FROM = 32_768;

/** Reservations of this process, held until it ends. */
const reservations: Socket[] = [];

/**
 * Free TCP ports of `host`, all different, which stay free until they are used, and between two uses: a service that is
 * restarted finds its port again. That is why they are none of those that the system gives to outgoing connections and
 * to servers that ask for any port, and why no other process finds them while this one lives: it holds the UDP port of
 * the same number, which the system releases however the process ends.
 *
 * @param from where the search begins. Default: anywhere, as two processes that begin alike only meet taken ports
 * @throws BatonError SERVER_UNAVAILABLE where fewer are free
 */
export async function findFreePorts(count: number, host = '127.0.0.1', from?: number): Promise<number[]> {
  const candidates = readEphemeralStart() - LOWEST;
  const first = from === undefined ? randomInt(candidates) : from - LOWEST;
  const ports: number[] = [];
  for (let tried = 0; ports.length < count && tried < candidates; tried++) {
    const port = LOWEST + ((first + tried) % candidates);
    const reservation = await reserve(port, host);
    if (reservation === undefined) continue;
    if (await isFree(port, host)) {
      reservations.push(reservation);
      ports.push(port);
    } else reservation.close();
  }
  if (ports.length < count) {
    throw new BatonError('SERVER_UNAVAILABLE', `finding ${count} free ports of ${host}: only ${ports.length} are free`);
  }
  return ports;
}

/** One of {@link findFreePorts}. */
export async function findFreePort(host?: string): Promise<number> {
  const [port = 0] = await findFreePorts(1, host);
  return port;
}

/** The first port that the system gives away by itself. */
function readEphemeralStart(): number {
  try {
    const [start = ''] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/);
    // A system that gives away almost all ports leaves no range of our own.
    return Number(start) > LOWEST + 1000 ? Number(start) : EPHEMERAL_FROM;
  } catch {
    return EPHEMERAL_FROM;
  }
}

function reserve(port: number, host: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.unref();
    socket.once('error', () => resolve(undefined));
    socket.bind({ port, address: host, exclusive: true }, () => resolve(socket));
  });
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
