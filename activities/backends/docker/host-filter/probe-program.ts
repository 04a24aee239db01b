import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';

/**
 * Runs in a container on a network like a runner's, and tries what a job could try. Prints one line of JSON with what it
 * reached. The port that the filter allows is its control: where that isn't reached, the rest proves nothing.
 */

/** Services that give out a machine's credentials. */
const METADATA = ['169.254.169.254', '169.254.170.2', '168.63.129.16'];
const CONTROL_TIMEOUT_MS = 8000;
/** A dropped packet has no answer: for so long each is waited for, and longer where the control was slow. */
const MIN_TIMEOUT_MS = 1000;
const MAX_TIMEOUT_MS = 5000;
/** Machines with very many addresses: these are enough. */
const MAX_ADDRESSES = 32;

const env = (name: string): string => process.env[`BATON_PROBE_${name}`] ?? '';

function reaches(host: string, port: number, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (reached: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reached);
    };
    const timer = setTimeout(() => end(false), timeout);
    socket.on('connect', () => end(true));
    socket.on('error', () => end(false));
  });
}

/** The gateway of the default route; `/proc` has it in the byte order of the machine. */
function findGateway(): string {
  const route = readFileSync('/proc/net/route', 'utf8')
    .split('\n')
    .map((line) => line.split('\t'))
    .find(([, destination]) => destination === '00000000');
  const bytes = Buffer.from(route?.[2] ?? '', 'hex');
  return [...bytes].toReversed().join('.');
}

const gateway = findGateway();
const begun = Date.now();
const control = await reaches(gateway, Number(env('OPEN_PORT')), CONTROL_TIMEOUT_MS);
const timeout = Math.min(MAX_TIMEOUT_MS, Math.max(MIN_TIMEOUT_MS, 5 * (Date.now() - begun)));
const targets = [
  ...[gateway, ...env('ADDRESSES').split(',')].slice(0, MAX_ADDRESSES).map((host) => `${host}:${env('BLOCKED_PORT')}`),
  ...METADATA.map((host) => `${host}:80`),
];
const tried = await Promise.all(
  targets.map(async (target) => {
    const [host = '', port] = target.split(':');
    return (await reaches(host, Number(port), timeout)) ? [target] : [];
  }),
);
const hasIpv6 = Object.values(networkInterfaces()).some((found = []) =>
  found.some(({ family, internal }) => family === 'IPv6' && !internal),
);
console.log(JSON.stringify({ control, reached: tried.flat(), hasIpv6 }));
// The engine removes the container at its end: until then, the worker reads the line.
process.on('SIGTERM', () => process.exit(0));
setTimeout(() => process.exit(0), 20_000);
