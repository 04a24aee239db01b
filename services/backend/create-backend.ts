import type { AgentBundle } from '../../contracts/messages/bootstrap-file.ts';
import type { BackendConfig } from '../../contracts/config/backend.ts';
import type { Backend, FilterObserver, PullObserver } from '../../contracts/ports/backend.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { createUserDataRenderer } from '../../activities/backends/cloud-init/user-data.ts';
import { toAllowedHosts } from './allowed-hosts.ts';

export interface BackendOptions {
  installation: string;
  agent: AgentBundle;
  log: Logger;
  observePulls?: PullObserver;
  observeFilter?: FilterObserver;
  /** What instances connect to: NATS and the forge. Instances may reach these also on the machine that they run on. */
  urls?: readonly string[];
}

/** The backend that the configuration describes. Loads only this backend's libraries: a cloud's take a second and 90 MB. */
export async function createBackend(config: BackendConfig, options: BackendOptions): Promise<Backend> {
  const { installation, agent, log, observePulls } = options;
  switch (config.type) {
    case 'docker': {
      const { DockerBackend } = await import('../../activities/backends/docker/docker.ts');
      const { buildFilterImage } = await import('../../deploy/images/filter-image.ts');
      const { socket, network_pool: networkPool } = config;
      const filter = config.allow_host_access
        ? undefined
        : {
            allowed: toAllowedHosts(options.urls ?? [], config.allow_host_ports),
            image: config.filter_image ?? buildFilterImage,
            observe: options.observeFilter,
          };
      return new DockerBackend({ installation, socket, networkPool, agent, observePulls, filter, log });
    }
    case 'local': {
      const { LocalBackend } = await import('../../activities/backends/local/local.ts');
      return new LocalBackend({ installation, root: config.root, command: config.command, agent, log });
    }
    case 'ec2': {
      const { Ec2Backend } = await import('../../activities/backends/ec2/ec2.ts');
      const spot = config.market !== 'on-demand';
      const userData = createUserDataRenderer({ cloud: 'ec2', config, agentSha256: agent.hash, spot });
      return new Ec2Backend({ installation, config, userData, log });
    }
    case 'gce': {
      const { GceBackend } = await import('../../activities/backends/gce/gce.ts');
      const userData = createUserDataRenderer({ cloud: 'gce', config, agentSha256: agent.hash, spot: config.spot });
      return new GceBackend({ installation, config, userData, log });
    }
    default:
      return config satisfies never;
  }
}

/**
 * How many activities of each task queue of this backend a worker runs at once: more would slow a Docker engine down; processes are
 * cheap; a cloud limits its API's calls by itself, and an activity there mostly waits for it.
 */
export function getMaxConcurrentActivities(config: BackendConfig): number {
  return config.type === 'docker' ? 16 : 100;
}
