import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Docker from 'dockerode';
import { isDockerAvailable } from './docker.ts';
import type { Cluster } from './cluster.ts';

/** Everything that still exists of the cluster's runners. */
export async function findClusterLeftovers(cluster: Cluster): Promise<Record<string, string[]>> {
  return {
    workflows: await cluster.runners('Running'),
    registrations: [...cluster.sim.sim.state.runners.values()].map(({ name }) => name),
    folders: listInstanceFolders(join(cluster.dir, 'local', cluster.installation)),
    processes: findInstanceProcesses(cluster),
    ...(await findDockerLeftovers(cluster.installation)),
  };
}

/** The folders of the local backend's instances, by runner. */
export function listInstanceFolders(folder: string): string[] {
  try {
    // The agent's programs (.agent-…) stay: instances share them.
    return readdirSync(folder).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
}

/** Processes of instances: those whose environment names the installation's folder, except Baton's services. */
function findInstanceProcesses(cluster: Cluster): string[] {
  const found: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      if (environment.includes(join(cluster.dir, 'local')) && !command.includes('/services/')) found.push(command);
    } catch {
      // The process has ended.
    }
  }
  return found;
}

async function findDockerLeftovers(installation: string): Promise<Record<string, string[]>> {
  if (!(await isDockerAvailable())) return {};
  const docker = new Docker();
  const filters = { label: [`baton.installation=${installation}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const networks = await docker.listNetworks({ filters });
  const { Volumes: volumes } = await docker.listVolumes({ filters });
  return {
    containers: containers.map((container) => container.Names.join(' ')),
    networks: networks.map((network) => network.Name),
    volumes: volumes.map((volume) => volume.Name),
  };
}
