import { spawnSync } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { countDropped, isFirst, toRestoreInput, toRestoreInputV6, type AllowedAddress } from './rules.ts';

/**
 * Runs in a container with the network of the engine's machine: makes the rules, and opens two ports for the probe, of which
 * the rules allow one. Prints a line of JSON when that is done. Closes both and takes the allowed one back when it is stopped.
 */

/** It ends by then, whatever became of the worker that started it, seconds. */
const MAX_SECONDS = 45;
const LOCK_SECONDS = '10';

const env = (name: string): string => process.env[`BATON_FILTER_${name}`] ?? '';
const chain = env('CHAIN');
const interfaces = `${env('BRIDGE_PREFIX')}+`;
const pool = env('POOL');

function run(program: string, args: string[], input = ''): { code: number; out: string; problem: string } {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, encoding: 'utf8' });
  return { code: status ?? 1, out: stdout ?? '', problem: error?.message ?? (stderr ?? '').trim() };
}

function must(program: string, args: string[], input = ''): string {
  const { code, out, problem } = run(program, args, input);
  if (code !== 0) throw new Error(`${program}: ${problem}`);
  return out;
}

/** Makes the chain, and leads all packets of the runners' bridges into it, before all other rules. */
function install(program: string, input: string): void {
  must(`${program}-restore`, ['--noflush', '--wait', LOCK_SECONDS], input);
  const table = ['--wait', LOCK_SECONDS, '-t', 'raw'];
  if (isFirst(must(program, [...table, '-S', 'PREROUTING']), chain)) return;
  const rule = ['-i', interfaces, '-j', chain];
  must(program, [...table, '-I', 'PREROUTING', '1', ...rule]);
  // An older one further down.
  while (must(program, [...table, '-S', 'PREROUTING']).split(`-j ${chain}\n`).length > 2) {
    const number = must(program, [...table, '-S', 'PREROUTING'])
      .split('\n')
      .filter((line) => line.startsWith('-A '))
      .findLastIndex((line) => line.endsWith(`-j ${chain}`));
    must(program, [...table, '-D', 'PREROUTING', String(number + 1)]);
  }
}

/** `HOST:PORT,…`: the addresses for which each name stands now. A name that nobody knows can't be reached either. */
async function resolveAllowed(): Promise<{ found: AllowedAddress[]; unresolved: string[] }> {
  const found: AllowedAddress[] = [];
  const unresolved: string[] = [];
  for (const entry of env('ALLOWED').split(',').filter(Boolean)) {
    const colon = entry.lastIndexOf(':');
    const [host, port] = [entry.slice(0, colon), Number(entry.slice(colon + 1))];
    try {
      const addresses = await lookup(host, { all: true, family: 4 });
      found.push(...addresses.map(({ address }) => ({ address, port, protocol: 'tcp' as const })));
    } catch {
      unresolved.push(host);
    }
  }
  return { found, unresolved };
}

/** The machine's name servers: a container's names are resolved by them, also where that is a metadata service's address. */
function findNameServers(): AllowedAddress[] {
  const text = readFileSync('/etc/resolv.conf', 'utf8');
  return [...text.matchAll(/^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$/gm)].flatMap(([, address = '']) =>
    address.startsWith('127.') ? [] : (['tcp', 'udp'] as const).map((protocol) => ({ address, port: 53, protocol })),
  );
}

async function listen(): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => undefined).end('baton'));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '0.0.0.0', resolve);
  });
  return server;
}

function getPort(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function print(line: object): void {
  console.log(JSON.stringify(line));
}

async function main(): Promise<void> {
  // An engine that only has the older packet filter.
  const program = run('iptables', ['-t', 'raw', '-S']).code === 0 ? 'iptables' : 'iptables-legacy';
  const before = run(`${program}-save`, ['-c', '-t', 'raw']).out;
  const dropped = countDropped(before, chain);
  const wasMissing = !isFirst(run(program, ['-t', 'raw', '-S', 'PREROUTING']).out, chain);
  const { found, unresolved } = await resolveAllowed();
  const allowed = [...found, ...findNameServers()];
  const addresses = Object.values(networkInterfaces()).flatMap((found = []) =>
    found.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address),
  );
  const [blocked, open] = [await listen(), await listen()];
  const openPort = getPort(open);
  install(program, toRestoreInput({ chain, pool, allowed, openPort }));
  let ipv6 = '';
  try {
    install(program.replace('ip', 'ip6'), toRestoreInputV6(chain));
  } catch (error) {
    ipv6 = error instanceof Error ? error.message : 'failed';
  }
  const end = (): void => {
    blocked.close();
    open.close();
    install(program, toRestoreInput({ chain, pool, allowed }));
    process.exit(0);
  };
  process.on('SIGTERM', end);
  setTimeout(end, MAX_SECONDS * 1000);
  print({ blockedPort: getPort(blocked), openPort, addresses, dropped, wasMissing, unresolved, ipv6Problem: ipv6 });
}

try {
  await main();
} catch (error) {
  print({ problem: error instanceof Error ? error.message : String(error) });
  // The engine removes the container at its end: until then, the worker reads the line.
  process.on('SIGTERM', () => process.exit(1));
  setTimeout(() => process.exit(1), MAX_SECONDS * 1000);
}
