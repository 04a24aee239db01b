import { DockerBackend } from '../../activities/backends/docker.ts';
import { GceBackend } from '../../activities/backends/gce.ts';
import { LocalBackend } from '../../activities/backends/local.ts';
import type { AgentBundle } from '../../contracts/agent.ts';
import type { BackendConfig } from '../../contracts/config/backend-config.ts';
import type { Backend } from '../../contracts/instance.ts';
import type { Logger } from '../../contracts/log.ts';
import { createUserData } from '../../deploy/bootstrap/user-data.ts';

/** The backend that the configuration describes. */
export function createBackend(
  config: BackendConfig,
  { manager, agent, log }: { manager: string; agent: AgentBundle; log: Logger },
): Backend {
  switch (config.type) {
    case 'docker':
      return new DockerBackend({ manager, socket: config.socket, networkPool: config.network_pool, agent, log });
    case 'local':
      return new LocalBackend({ manager, root: config.root, command: config.command, agent, log });
    case 'gce': {
      const userData = createUserData({ cloud: 'gce', config, agentSha256: agent.hash, spot: config.spot });
      return new GceBackend({ manager, config, userData, log });
    }
    default:
      return config satisfies never;
  }
}

/** How many activities of that kind a worker does at once: an engine gets slower with more, processes are cheap. */
export function activitiesAtOnce(config: BackendConfig): number {
  return config.type === 'docker' ? 16 : 100;
}
