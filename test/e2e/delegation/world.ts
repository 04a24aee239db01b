import { z } from 'zod';
import { createCredential, createTokenKey, signToken } from '../../../contracts/lib/proxy-token.ts';
import { delegatedJob, type DelegatedJob, type JobContext } from '../../../contracts/messages/delegation.ts';
import { Cluster } from '../../support/cluster.ts';
import type { ClusterOptions } from '../../support/cluster-options.ts';
import { SimControl, type SimJob } from '../../support/simulator-control.ts';

export const PROXIES = ['proxy-a', 'proxy-b'] as const;
/** The label of the jobs, of the proxies, and of the ephemeral runners. */
export const LABEL = 'team';

const key = createTokenKey();
/** The key that verifies the proxies' tokens. */
export const TOKEN_KEY = key.publicKey;

/** A token for that proxy; with a negative lifetime, an expired one. */
export function tokenFor(proxy: string, lifetimeS = 3600): string {
  const issued = Math.floor(Date.now() / 1000);
  return signToken(key.privateKey, { proxy, issued, expires: issued + lifetimeS, scopes: ['delegate', 'read'] });
}

/** A credential for that proxy, for an hour. */
export function credentialFor(proxy: string): string {
  const issued = Math.floor(Date.now() / 1000);
  return createCredential(key.privateKey, { proxy, issued, expires: issued + 3600 });
}

/** `delegation:` of baton.yaml for two proxies and the group `ephemeral`. */
function delegationYaml(more: string, proxies: string): string {
  return `
delegation:
  token_keys: ['${key.publicKey}']
${more}
  proxies:
  - { names: [${PROXIES.join(', ')}], labels: [${LABEL}], group: ephemeral }
${proxies}
`;
}

export interface DelegationWorldOptions extends Partial<ClusterOptions> {
  /** Further keys of `delegation:`, indented by two. */
  delegation?: string;
  /** Whether ephemeral runners are containers. Default: they are process groups. */
  docker?: boolean;
  /** The engine's socket. Default: this machine's own engine. */
  socket?: string;
  /** The group's `max`. Default: 10. */
  max?: number;
  /** The image of the group's containers. Default: one that works. */
  image?: string;
  /** What an instance runs. Default: the agent. */
  command?: string[];
  /** Further groups and their proxies, as items of the lists in baton.yaml. */
  besides?: { groups: string; proxies: string };
}

/** Starts a cluster whose group `ephemeral` serves two proxies, which the test plays or starts. */
export async function startDelegationWorld(options: DelegationWorldOptions = {}): Promise<DelegationWorld> {
  const { delegation = '', docker = false, max = 10, image = 'IMAGE', besides, command, ...more } = options;
  // Two engines on one machine do not know each other's networks, so each gets its own address range.
  const { socket, ...rest } = more;
  const engine =
    socket === undefined ? 'network_pool: 10.217.0.0/16' : `socket: ${socket}, network_pool: 10.218.0.0/16`;
  const cluster = await Cluster.start({
    copies: 1,
    backends: [docker ? 'docker' : 'local'],
    containers: docker,
    simulator: { timing: { sweepMs: 50 } },
    config: `
backends:
  ${docker ? `docker: { type: docker, ${engine}, nats_url: NATS_URL }` : `local: { type: local, root: ROOT/local${command ? `, command: [${command.join(', ')}]` : ''} }`}
groups:
- name: ephemeral
  organization: acme
  labels: [${LABEL}, ephemeral, container]
  max: ${max}
  ${docker ? `backend: docker\n  instance: { image: ${image}, memory: 256MiB, pids: 200 }` : 'backend: local\n  runner: { directory: ROOT/runner }'}
${besides?.groups ?? ''}
${delegationYaml(delegation, besides?.proxies ?? '')}`,
    ...rest,
  });
  return new DelegationWorld(cluster);
}

const accepted = z.object({ id: z.string(), status: z.string() });

/** Plays the proxies: takes jobs as they do, and hands them over as their hooks do. */
export class DelegationWorld {
  readonly cluster: Cluster;
  readonly sim: SimControl;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.sim = new SimControl(cluster.sim.address);
  }

  get url(): string {
    return this.cluster.ingressUrls[0] ?? '';
  }

  get forge(): string {
    return this.cluster.sim.address;
  }

  get dir(): string {
    return this.cluster.dir;
  }

  onStop(cleanup: () => void): void {
    this.cluster.onStop(cleanup);
  }

  async request(method: string, path: string, proxy: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = { authorization: `Bearer ${tokenFor(proxy)}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    return await fetch(`${this.url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  context(job: SimJob, proxy: string, attempt = 1): JobContext {
    return {
      jobId: job.key,
      runId: String(job.runId),
      runAttempt: attempt,
      repository: 'acme/hello',
      workflow: 'Load',
      runnerName: proxy,
      labels: [LABEL],
      trackingId: `github_${job.id}`,
      environment: { GREETING: 'hello' },
      matrix: null,
      needs: null,
    };
  }

  /** A proxy takes a job. */
  async take(job: number, proxy: string): Promise<SimJob> {
    await this.sim.start(job, proxy);
    return await this.sim.job(job);
  }

  /** A proxy hands over its job, and fails this attempt. @returns the delegation's id */
  async handOver(job: SimJob, proxy: string, attempt = 1): Promise<string> {
    const { id } = await this.delegate(job, proxy, attempt);
    await this.sim.complete(job.id, 'failure');
    return id;
  }

  async delegate(job: SimJob, proxy: string, attempt = 1): Promise<z.infer<typeof accepted>> {
    const response = await this.request('POST', '/api/jobs/delegate', proxy, this.context(job, proxy, attempt));
    if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
    return accepted.parse(await response.json());
  }

  async get(id: string, proxy: string): Promise<DelegatedJob> {
    const response = await this.request('GET', `/api/jobs/${id}`, proxy);
    return delegatedJob.parse(await response.json());
  }

  /** All attempts of a run's job: the job and its re-runs, oldest first. */
  async findAttempts(run: number): Promise<SimJob[]> {
    return (await this.sim.allJobs()).filter(({ runId }) => runId === run);
  }
}
