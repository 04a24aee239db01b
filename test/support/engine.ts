import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { findProgram } from '../../hooks/job-hooks/wrappers/find-program.ts';
import { startChild, waitUntilReady, type Child } from '../../deploy/servers/child.ts';
import { findBridgeGateway } from '../../services/cli/start/engine.ts';
import { removeFromEngine } from './docker.ts';

const run = promisify(execFile);

/** Of a bridge that no container uses. */
const BRIDGE_ADDRESS = '10.219.255.1/30';

/** A Docker engine that belongs to the test, beside this machine's; the test can stop and start it. */
export interface TestEngine {
  readonly socket: string;
  readonly docker: Docker;
  /** Stops it like `systemctl stop docker`: containers get SIGTERM and later SIGKILL. Its data on disk stays. */
  halt(): Promise<void>;
  /** Starts it again after {@link halt}; does nothing while it runs. */
  resume(): Promise<void>;
  /** Removes all its containers, networks and files, and stops it. */
  stop(): Promise<void>;
}

/** The path of dockerd; undefined where there is none, or where it cannot run because this is not root on Linux. */
function findDockerd(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  return findProgram('dockerd', `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/usr/local/bin`);
}

/**
 * Starts an engine with its own socket, files, bridge and containerd namespaces. It does not change this machine's
 * packet filter: its containers reach this machine and nothing beyond.
 *
 * @returns `absent` with the reason where no engine can be started
 */
export async function startEngine(): Promise<TestEngine | { absent: string }> {
  const program = findDockerd();
  if (program === undefined) return { absent: 'needs root on Linux and a dockerd program' };
  const gateway = await findBridgeGateway(new Docker()).catch(() => undefined);
  if (gateway === undefined)
    return { absent: 'needs a Docker engine with a bridge, at which containers reach this machine' };
  // Short: a socket's path may have at most 107 characters.
  const dir = mkdtempSync(join(tmpdir(), 'bt-engine-'));
  const socket = join(dir, 'docker.sock');
  const docker = new Docker({ socketPath: socket });
  const name = dir.split('-').at(-1) ?? '';
  // An empty file, so that dockerd does not read this machine's.
  const config = join(dir, 'daemon.json');
  writeFileSync(config, '{}');
  // With `--bridge=none` dockerd would remove docker0, which belongs to this machine's engine.
  const bridge = `bt${randomBytes(4).toString('hex')}`;
  const removeAll = async (): Promise<void> => {
    await run('ip', ['link', 'delete', bridge]).catch(() => undefined);
    await removeFolder(dir);
  };
  const options = {
    host: `unix://${socket}`,
    'data-root': join(dir, 'data'),
    'exec-root': join(dir, 'run'),
    pidfile: join(dir, 'docker.pid'),
    'config-file': config,
    'containerd-namespace': `bt-${name}`,
    'containerd-plugins-namespace': `bt-plugins-${name}`,
    bridge,
    iptables: 'false',
    ip6tables: 'false',
    'ip-masq': 'false',
    'host-gateway-ip': gateway,
    'shutdown-timeout': '5',
  };
  const args = Object.entries(options).map(([option, value]) => `--${option}=${value}`);
  const start = async (): Promise<Child> => {
    const child = startChild({ name: 'dockerd', command: program, args, logFile: join(dir, 'log'), graceSeconds: 60 });
    await waitUntilReady(child, async () => (await docker.ping()).toString() === 'OK', 90_000);
    return child;
  };
  let child: Child;
  try {
    await run('ip', ['link', 'add', bridge, 'type', 'bridge']);
    await run('ip', ['address', 'add', BRIDGE_ADDRESS, 'dev', bridge]);
    await run('ip', ['link', 'set', bridge, 'up']);
    child = await start();
  } catch (error) {
    await removeAll();
    return { absent: `cannot start a second dockerd: ${error instanceof Error ? error.message : ''}` };
  }
  return {
    socket,
    docker,
    halt: async () => {
      await child.stop();
    },
    resume: async () => {
      if (!child.running) child = await start();
    },
    stop: async () => {
      // A network's bridge outlives its engine: only a running engine removes it.
      if (!child.running) child = await start();
      await removeFromEngine(docker, {});
      await child.stop();
      await removeAll();
    },
  };
}

/** Removes the folder, after unmounting what an engine may have left mounted in it. */
async function removeFolder(dir: string): Promise<void> {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${dir}/`));
  for (const mount of mounts.toReversed()) await run('umount', ['--lazy', mount]).catch(() => undefined);
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}
