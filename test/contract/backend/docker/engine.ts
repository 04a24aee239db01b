import Docker from 'dockerode';
import { DockerBackend } from '../../../../activities/backends/docker/docker.ts';
import type { InstanceSpec } from '../../../../contracts/ports/backend.ts';
import { createLogger } from '../../../../contracts/lib/log.ts';
import { bundleAgent } from '../../../../services/backend/agent-bundle.ts';
import { anInstanceSpec } from '../../../support/an-instance-spec.ts';

export const SOCKET = '/var/run/docker.sock';
export const IMAGE = 'baton-test-instance';
/** Not the default pool: a dev cluster may run on this machine. */
export const POOL = '10.214.0.0/16';

export const docker = new Docker({ socketPath: SOCKET });
const agent = await bundleAgent();
const log = createLogger('test', 'silent');

/** A backend on this machine's engine, directly or through a proxy. */
export function openBackend(
  installation: string,
  { socket = SOCKET, networkPool = POOL }: { socket?: string; networkPool?: string } = {},
): DockerBackend {
  return new DockerBackend({ installation, socket, networkPool, agent, log });
}

export function aContainerSpec(installation: string, runner: string, more: Partial<InstanceSpec> = {}): InstanceSpec {
  return anInstanceSpec(installation, runner, { image: IMAGE, cpu: 0.5, memoryBytes: 256 * 1024 ** 2, ...more });
}

/** Names of the containers and networks of these installations. */
export async function findLeftovers(installations: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const installation of installations) {
    const filters = { label: [`baton.installation=${installation}`] };
    found.push(...(await docker.listContainers({ all: true, filters })).flatMap(({ Names }) => Names));
    found.push(...(await docker.listNetworks({ filters })).map(({ Name }) => `network ${Name}`));
  }
  return found;
}
