import { statSync } from 'node:fs';
import Docker from 'dockerode';
import { z } from 'zod';
import { getErrorMessage } from '../../../contracts/errors.ts';

const ENGINE_TIMEOUT_MS = 3000;

const info = z.object({ OSType: z.string(), ServerVersion: z.string() });
const pool = z.object({ Gateway: z.string().optional(), Subnet: z.string().optional() });
const network = z.object({ IPAM: z.object({ Config: z.array(pool).nullish() }) });

/** A Docker engine on this machine. */
export interface Engine {
  docker: Docker;
  socket: string;
  version: string;
}

/** The Docker engine of this machine (DOCKER_HOST where it names a socket), or why there is none. */
export async function findDockerEngine(env: NodeJS.ProcessEnv = process.env): Promise<Engine | { absent: string }> {
  const host = env['DOCKER_HOST'];
  if (host && !host.startsWith('unix://')) return { absent: `DOCKER_HOST is ${host}, which is not on this machine` };
  const socket = host ? host.slice('unix://'.length) : '/var/run/docker.sock';
  try {
    statSync(socket);
  } catch {
    return { absent: `there is no ${socket}` };
  }
  const docker = new Docker({ socketPath: socket, timeout: ENGINE_TIMEOUT_MS });
  try {
    const { OSType, ServerVersion } = info.parse(await docker.info());
    if (OSType !== 'linux') return { absent: `the engine at ${socket} runs ${OSType} containers` };
    return { docker: new Docker({ socketPath: socket }), socket, version: ServerVersion };
  } catch (error) {
    return { absent: `no engine answers at ${socket}: ${getErrorMessage(error)}` };
  }
}

/**
 * The address of this machine on Docker's own bridge network, for which `host.docker.internal` stands in containers. An
 * engine without a configured address uses the first one of the network, and doesn't report it. Undefined with IPv6 alone.
 */
export async function findBridgeGateway(docker: Docker): Promise<string | undefined> {
  const found = network.parse(await docker.getNetwork('bridge').inspect());
  for (const { Gateway: gateway, Subnet: subnet } of found.IPAM.Config ?? []) {
    if (gateway?.includes('.')) return gateway;
    const first = /^(\d+\.\d+\.\d+)\.0\//.exec(subnet ?? '');
    if (first) return `${first[1]}.1`;
  }
  return undefined;
}

export async function hasImage(docker: Docker, image: string): Promise<boolean> {
  try {
    await docker.getImage(image).inspect();
    return true;
  } catch (error) {
    if (error instanceof Error && 'statusCode' in error && error.statusCode === 404) return false;
    throw error;
  }
}

/** Pulls an image; resolves when it is there. */
export async function pullImage(docker: Docker, image: string): Promise<void> {
  const stream = await docker.pull(image);
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(stream, (error) => (error === null ? resolve() : reject(error)));
  });
}
