import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { getErrorMessage } from '../../contracts/errors.ts';

const run = promisify(execFile);

/** Of the link between this machine and the network behind it. */
const LINK = { here: '10.219.254.1', there: '10.219.254.2' };
const SERVER = `require('net').createServer((socket) => socket.on('error', () => {}).end('hello'))
  .listen(Number(process.argv[1]), '0.0.0.0', () => console.log('listening'))`;

/** Addresses behind this machine that packets are forwarded to, as to a cloud's metadata service. */
export interface RemoteNetwork {
  stop(): Promise<void>;
}

/**
 * Makes the addresses reachable over this machine, and answers there on `port`. They are in a network namespace of their own.
 *
 * @returns `absent` with the reason where this machine can't
 */
export async function startRemoteNetwork(
  addresses: readonly string[],
  port: number,
): Promise<RemoteNetwork | { absent: string }> {
  if (process.getuid?.() !== 0 || !existsSync('/usr/sbin/ip')) return { absent: 'needs root on Linux, and ip' };
  const name = `bt${process.pid}`;
  const ip = (...args: string[]): Promise<unknown> => run('ip', args);
  const inside = (...args: string[]): Promise<unknown> => ip('-n', name, ...args);
  let server: ChildProcess | undefined;
  const stop = async (): Promise<void> => {
    server?.kill('SIGKILL');
    // Takes the routes with it.
    await ip('link', 'delete', name).catch(() => undefined);
    await ip('netns', 'delete', name).catch(() => undefined);
  };
  try {
    await ip('netns', 'add', name);
    await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'there', 'netns', name);
    await ip('address', 'add', `${LINK.here}/30`, 'dev', name);
    await ip('link', 'set', name, 'up');
    await inside('address', 'add', `${LINK.there}/30`, 'dev', 'there');
    for (const device of ['there', 'lo']) await inside('link', 'set', device, 'up');
    for (const address of addresses) await inside('address', 'add', `${address}/32`, 'dev', 'lo');
    await inside('route', 'add', 'default', 'via', LINK.here);
    for (const address of addresses) await ip('route', 'replace', `${address}/32`, 'via', LINK.there);
    const args = ['netns', 'exec', name, process.execPath, '-e', SERVER, String(port)];
    server = spawn('ip', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    await Promise.race([
      once(server.stdout ?? server, 'data'),
      once(server, 'exit').then(() => Promise.reject(new Error('the server ended'))),
    ]);
    return { stop };
  } catch (error) {
    await stop();
    return { absent: `a network namespace cannot be used here: ${getErrorMessage(error)}` };
  }
}
