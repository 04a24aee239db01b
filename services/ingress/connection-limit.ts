import { BlockList, type Server, type Socket } from 'node:net';
import { toCallerAddress } from './caller-address.ts';

export interface ConnectionLimits {
  /** Of one address that is no trusted proxy. */
  perCaller: number;
  total: number;
}

/**
 * Closes connections beyond the limits as they come: a single address can't take all of them. A connection without a complete request
 * is closed by the server's own time-outs.
 *
 * @param trusted addresses and networks whose connections are only limited together
 * @param onRefused is called for each closed connection
 */
export function limitConnections(
  server: Server,
  { limits, trusted, onRefused }: { limits: ConnectionLimits; trusted: readonly string[]; onRefused: () => void },
): void {
  const proxies = toBlockList(trusted);
  const open = new Map<string, number>();
  server.maxConnections = limits.total;
  server.on('drop', onRefused);
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined || covers(proxies, remoteAddress)) return;
    const caller = toCallerAddress(remoteAddress);
    const count = (open.get(caller) ?? 0) + 1;
    open.set(caller, count);
    socket.once('close', () => {
      const left = (open.get(caller) ?? 0) - 1;
      if (left > 0) open.set(caller, left);
      else open.delete(caller);
    });
    if (count <= limits.perCaller) return;
    onRefused();
    socket.destroy();
  });
}

function toBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = address.includes(':') ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

function covers(list: BlockList, address: string): boolean {
  const mapped = address.replace(/^::ffff:(?=\d+\.)/i, '');
  return list.check(mapped, mapped.includes(':') ? 'ipv6' : 'ipv4');
}
