/**
 * The packet filter's rules. Runs in the worker and, copied, in the filter's container: it imports nothing.
 *
 * The table `raw` comes before address translation, routing and every other table: no rule of Docker, of a firewall or of
 * an administrator can accept before it what is dropped here, and a published port is seen with its original address.
 */

/** Who is never reachable: services that give the credentials of the engine's machine to whoever asks. */
const METADATA_NETWORKS = [
  // All of the link-local addresses: EC2, Compute Engine and Azure (.169.254), ECS (.170.2), EKS (.170.23).
  '169.254.0.0/16',
  // Azure's agent.
  '168.63.129.16/32',
  // Alibaba Cloud.
  '100.100.100.200/32',
];

/** One address that instances may reach although it is of the engine's machine. */
export interface AllowedAddress {
  address: string;
  port: number;
  protocol: 'tcp' | 'udp';
}

export interface FilterRules {
  chain: string;
  /** IPv4 prefix of all runners' networks. */
  pool: string;
  allowed: readonly AllowedAddress[];
  /** A port of the machine that is open for as long as the probe needs it. */
  openPort?: number;
}

/** The names of the chain and of the bridges that it filters, by a key: the same key everywhere on an engine means the same rules. */
export function toFilterNames(key: string): { chain: string; bridgePrefix: string } {
  return { chain: `BATON-${key}`, bridgePrefix: `bn${key}` };
}

/** The input of `iptables-restore --noflush`, which replaces the chain in one step. */
export function toRestoreInput({ chain, pool, allowed, openPort }: FilterRules): string {
  const rules = [
    ...(openPort === undefined ? [] : [`-p tcp --dport ${openPort} -m addrtype --dst-type LOCAL -j RETURN`]),
    ...allowed.map(({ address, port, protocol }) => `-d ${address}/32 -p ${protocol} --dport ${port} -j RETURN`),
    ...METADATA_NETWORKS.map((network) => `-d ${network} -j DROP`),
    // Other runners.
    `-d ${pool} -j DROP`,
    // The machine itself at any of its addresses, published ports of other containers, broadcasts.
    '-m addrtype ! --dst-type UNICAST -j DROP',
  ];
  return toTable(chain, rules);
}

/** The same for IPv6: runners' networks have none. */
export function toRestoreInputV6(chain: string): string {
  return toTable(chain, ['-j DROP']);
}

function toTable(chain: string, rules: readonly string[]): string {
  return ['*raw', `:${chain} - [0:0]`, ...rules.map((rule) => `-A ${chain} ${rule}`), 'COMMIT', ''].join('\n');
}

/** The packets that the chain has dropped, of `iptables-save -c`. */
export function countDropped(saved: string, chain: string): number {
  let packets = 0;
  for (const [, count, name] of saved.matchAll(/^\[(\d+):\d+\] -A (\S+) .*-j DROP$/gm)) {
    if (name === chain) packets += Number(count);
  }
  return packets;
}

/** Whether the first rule of PREROUTING that isn't another chain of Baton's leads to the chain, of `iptables -t raw -S PREROUTING`. */
export function isFirst(listed: string, chain: string): boolean {
  for (const line of listed.split('\n')) {
    if (!line.startsWith('-A ')) continue;
    if (line.endsWith(`-j ${chain}`)) return true;
    if (!/ -j BATON-[0-9a-f]+$/.test(line)) return false;
  }
  return false;
}
