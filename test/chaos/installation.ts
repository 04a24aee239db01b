import { readFileSync, writeFileSync } from 'node:fs';
import Docker from 'dockerode';
import { findBridgeGateway } from '../../services/cli/start/engine.ts';
import { Cluster } from '../support/cluster.ts';
import { runBaton } from '../support/run-baton.ts';
import type { ChaosGroup } from './schedule.ts';

/** A surplus runner stays this long, and as long again after its registration was removed. */
const TIME_TO_START_S = 40;
const HEALTH_CHECK_INTERVAL = 'health_check_interval: 4s';
/** The local backend's `max`: less than that of its groups together. */
const LOCAL_MAX = 6;

export const LOCAL_GROUPS: readonly ChaosGroup[] = [
  { name: 'linux', backend: 'local', max: 5, min: 2, weight: 4 },
  { name: 'extra', backend: 'local', max: 4, min: 0, weight: 2 },
];
export const DOCKER_GROUP: ChaosGroup = { name: 'box', backend: 'docker', max: 3, min: 0, weight: 2 };
export const CAPS = { local: LOCAL_MAX };

/** All that can be killed: both copies of every service, and the servers. */
export function listProcessNames(groups: readonly Pick<ChaosGroup, 'backend'>[]): string[] {
  const backends = [...new Set(groups.map(({ backend }) => `backend-${backend}`))];
  const services = ['ingress', 'relay', 'orchestrator', ...backends];
  return [...services.flatMap((name) => [`${name}-1`, `${name}-2`]), 'nats', 'temporal'];
}

/** Two copies of each service, one App, and groups that share a backend. */
export async function startChaosCluster(groups: readonly ChaosGroup[], seed: number): Promise<Cluster> {
  const backends = [...new Set(groups.map(({ backend }) => backend))];
  const containers = backends.includes('docker');
  const docker = 'docker: { type: docker, network_pool: 10.214.0.0/16, nats_url: NATS_URL }';
  const cluster = await Cluster.start({
    backends,
    containers,
    apps: 1,
    simulator: {
      seed,
      timing: {
        // A job whose instance was killed fails, and one that its runner never started is queued again, soon.
        lostMs: 25_000,
        pickupMs: 15_000,
        // With a lag, a runner that gets a job in the moment of its removal loses it, whatever Baton does.
        busyLagMs: 0,
        sweepMs: 50,
      },
      // Shorter than GitHub's, so that there is room for more.
      limits: { retryAfterSeconds: 10, secondaryForm: '429' },
    },
    config: `
${HEALTH_CHECK_INTERVAL}
time_to_start: ${TIME_TO_START_S}s
backends:
  local: { type: local, root: ROOT/local, max: ${LOCAL_MAX} }
  ${containers ? docker : ''}
groups:
${groups.map(formatGroup).join('\n')}
`,
  });
  if (containers) {
    // Containers and this machine's own runners reach the simulator at one address.
    const { runner } = cluster.sim.sim.urls;
    const gateway = await findBridgeGateway(new Docker());
    cluster.sim.sim.urls.runner = `http://${gateway}:${new URL(runner).port}`;
  }
  return cluster;
}

/**
 * Lets all idle runners go, and health checks no longer happen: from now on, events alone must suffice.
 *
 * @throws Error where `baton apply` fails
 */
export async function retireIdleRunners(cluster: Cluster): Promise<void> {
  const before = readFileSync(cluster.configFile, 'utf8');
  const after = before.replace(HEALTH_CHECK_INTERVAL, 'health_check_interval: 1h').replaceAll(/min: \d+/g, 'min: 0');
  writeFileSync(cluster.configFile, after);
  const { code, stdout, stderr } = await runBaton(cluster, 'admin', ['apply', cluster.configFile]);
  if (code !== 0) throw new Error(`baton apply: ${stdout}${stderr}`);
}

function formatGroup({ name, backend, max, min }: ChaosGroup): string {
  // A runner of `min` stays when its registration is deleted, so that Baton has to notice.
  const command = min > 0 ? ', command: [./run.sh, --outlive-registration]' : '';
  const instance =
    backend === 'docker'
      ? 'instance: { image: IMAGE, memory: 256MiB }'
      : `runner: { directory: ROOT/runner${command} }`;
  return `  - { name: ${name}, organization: acme, labels: [${name}], backend: ${backend}, max: ${max}, min: ${min}, ${instance} }`;
}
