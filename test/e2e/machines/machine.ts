import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import Docker from 'dockerode';
import { pack } from 'tar-stream';
import { findFilterParts } from '../../../deploy/images/filter-image.ts';
import { buildInstanceImage, type ImageFile } from '../../../deploy/images/instance-image.ts';
import { acquireLock } from '../../../contracts/lib/file-lock.mjs';
import { removeFromEngine } from '../../support/docker.ts';

const docker = new Docker();
/** Tools that a cloud's Linux has, and the instance image lacks. */
const TOOLS = ['tar', 'gzip', 'sha256sum', 'chown', 'curl', 'setpriv', 'sync', 'mkfifo', 'ip', 'nsenter', 'nft'];
const USER_DATA = '/var/lib/cloud/instance/scripts/user-data';

/** A cloud machine: a container whose first process plays the firmware and the power switch. */
export interface TestMachine {
  /** Resolves when it is off, with the output of its console. */
  off: Promise<string>;
  /** Cuts its power; resolves when it is off. */
  cut(): Promise<void>;
  /** Runs a script as root. */
  inside(script: string): Promise<string>;
}

/** The kind of a machine. */
export interface MachineKind {
  image: string;
  /** Forwards packets, also of IPv6, and lets its root make network namespaces. Default: it only may change its own packet filter. */
  router?: boolean;
  /** Uses systemd of this machine's /usr as its first process. Default: a script takes that part. */
  systemd?: { /** Whether there is an `iptables`; there always is nft. */ iptables: boolean };
}

/**
 * Builds an image from files of this machine, with a root shell and no agent.
 *
 * @param name a different one for each `files`
 */
export async function machineImage(name: string, files: ImageFile[] = []): Promise<string> {
  const own = (file: string): string => readFileSync(new URL(file, import.meta.url), 'utf8');
  const lock = await acquireLock(join(tmpdir(), `${name}.lock`));
  try {
    const filter = await findFilterParts();
    await buildInstanceImage(docker, name, {
      tools: [...TOOLS, ...filter.tools],
      files: [
        ...filter.files,
        { path: '/usr/sbin/machine-init', content: own('machine-init.sh'), mode: 0o755 },
        { path: '/usr/sbin/shutdown', content: own('shutdown.sh'), mode: 0o755 },
        ...files,
      ],
    });
  } finally {
    lock.release();
  }
  return name;
}

/**
 * Switches a machine on.
 *
 * @param order.userData the script that it runs as root when it boots
 * @param order.labels labels by which the test finds its containers
 */
export async function bootMachine(
  order: MachineKind & { name: string; userData: string; labels: Record<string, string>; env?: string[] },
): Promise<TestMachine> {
  const container = await docker.createContainer({
    name: order.name,
    Image: order.image,
    Labels: order.labels,
    User: '0:0',
    Env: order.env ?? [],
    Cmd: [],
    ...(order.systemd ? withSystemd() : { Entrypoint: ['/bin/sh', '/usr/sbin/machine-init'] }),
    HostConfig: {
      ExtraHosts: ['host.docker.internal:host-gateway'],
      Tmpfs: { '/run': 'mode=755', '/tmp': '' },
      CapAdd: ['NET_ADMIN', 'NET_RAW'],
      ...(order.router && ROUTER),
      ...(order.systemd && systemdHost(order.systemd)),
    },
  });
  const archive = pack();
  archive.entry({ name: USER_DATA.slice(1), mode: 0o700 }, order.userData);
  archive.finalize();
  await container.putArchive(await buffer(archive), { path: '/' });
  const exit = container.wait({ condition: 'next-exit' });
  await container.start();
  const remove = async (): Promise<void> => {
    // Called at its end and by a power cut, possibly both.
    await container.remove({ force: true, v: true }).catch(() => undefined);
  };
  return {
    off: exit
      .then(() => readConsole(container, order.systemd !== undefined))
      .then(async (output) => {
        await remove();
        return output;
      }),
    cut: remove,
    inside: async (script) => {
      const exec = await container.exec({
        Cmd: ['sh', '-c', script],
        AttachStdout: true,
        AttachStderr: true,
        User: '0:0',
      });
      return collect(await exec.start({}));
    },
  };
}

/** In a container, the kernel's settings are read-only. */
const ROUTER: Docker.HostConfig = {
  CapAdd: ['NET_ADMIN', 'NET_RAW', 'SYS_ADMIN'],
  SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined'],
  Sysctls: {
    'net.ipv4.ip_forward': '1',
    'net.ipv6.conf.all.disable_ipv6': '0',
    'net.ipv6.conf.default.disable_ipv6': '0',
    'net.ipv6.conf.all.forwarding': '1',
  },
};

/** systemd requires a terminal as its console. */
function withSystemd(): Docker.ContainerCreateOptions {
  return { Tty: true, Entrypoint: ['/usr/lib/systemd/systemd', '--show-status=0', '--log-level=notice'] };
}

/** What systemd needs as the first process of a container: its own control groups, mounts, and packet filter rules. */
function systemdHost({ iptables }: { iptables: boolean }): Docker.HostConfig {
  const host = {
    CapAdd: ['SYS_ADMIN', 'NET_ADMIN'],
    SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined'],
    CgroupnsMode: 'private',
    // The Node of this process, at the path of the runner release's own Node.
    Binds: [
      '/usr:/usr:ro',
      `${process.execPath}:/opt/runner/externals/node24/bin/node:ro`,
      // Debian's iptables is a link into this folder.
      ...(iptables ? ['/etc/alternatives:/etc/alternatives:ro'] : []),
    ],
  };
  return host;
}

async function readConsole(container: Docker.Container, isTerminal: boolean): Promise<string> {
  const log = await container.logs({ stdout: true, stderr: true, follow: false });
  if (isTerminal) return log.toString().replaceAll('\r\n', '\n');
  const through = new PassThrough();
  through.end(log);
  return collect(through);
}

/** Reads a stream of the engine, without the frames around its chunks. */
async function collect(stream: NodeJS.ReadableStream): Promise<string> {
  const out = new PassThrough();
  let text = '';
  out.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  docker.modem.demuxStream(stream, out, out);
  stream.on('end', () => out.end());
  await finished(out);
  return text;
}

/** Removes the machines that a failed test left running. */
export function removeMachines(label: string): Promise<void> {
  return removeFromEngine(docker, { label: [label] });
}
