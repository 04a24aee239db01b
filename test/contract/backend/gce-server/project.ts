import { GceBackend } from '../../../../activities/backends/gce/gce.ts';
import { toInstanceResource, GCE_LABELS } from '../../../../activities/backends/gce/instance-resource.ts';
import { toRequestId } from '../../../../activities/backends/gce/request-id.ts';
import { hashSpec } from '../../../../activities/backends/spec-hash.ts';
import { gceBackend, type GceConfig } from '../../../../contracts/config/gce.ts';
import type { Backend, InstanceSpec } from '../../../../contracts/ports/backend.ts';
import { createLogger } from '../../../../contracts/lib/log.ts';
import { bundleAgent } from '../../../../services/backend/agent-bundle.ts';
import { createUserDataRenderer } from '../../../../activities/backends/cloud-init/user-data.ts';
import { startGceServer, type GceServer } from './server.ts';

export const PROJECT = 'acme-ci';
export const FIRST = 'europe-west4-a';
export const SECOND = 'europe-west4-b';

/** A project with three zones, of which backends use the first two, and a metadata service for Google's library. */
export class GceProject {
  readonly server: GceServer;
  readonly #agent: Awaited<ReturnType<typeof bundleAgent>>;
  readonly #log = createLogger('test', 'silent');

  private constructor(server: GceServer, agent: Awaited<ReturnType<typeof bundleAgent>>) {
    this.server = server;
    this.#agent = agent;
  }

  /** @param options.role the permissions of the backends; default: all */
  static async start(options: { role?: readonly string[]; operationMs?: number } = {}): Promise<GceProject> {
    const zones = [FIRST, SECOND, 'us-central1-a'];
    const server = await startGceServer({ project: PROJECT, zones, ...options });
    // As on a machine of Compute Engine.
    process.env['GCE_METADATA_HOST'] = server.metadataHost;
    return new GceProject(server, await bundleAgent());
  }

  async stop(): Promise<void> {
    delete process.env['GCE_METADATA_HOST'];
    await this.server.close();
  }

  /** A backend's configuration before it is parsed. */
  settings(more: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      type: 'gce',
      ingress_url: 'http://ingress.internal',
      project: PROJECT,
      zones: [FIRST, SECOND],
      machine_type: 'e2-standard-4',
      image: { family: 'runner' },
      poll: '200ms',
      endpoint: this.server.address,
      ...more,
    };
  }

  readonly open = (installation: string, more?: Record<string, unknown>, removalTimeoutMs?: number): Backend => {
    const config = this.#parse(more);
    const userData = createUserDataRenderer({ cloud: 'gce', config, agentSha256: this.#agent.hash, spot: config.spot });
    const limit = removalTimeoutMs === undefined ? {} : { removalTimeoutMs };
    return new GceBackend({ installation, config, userData, log: this.#log, ...limit });
  };

  /** The machines of these installations, with zone and state. */
  listMachines(installations: string[]): string[] {
    return [...this.server.cloud.machines.values()]
      .filter(({ body }) => installations.includes(body.labels[GCE_LABELS.installation] ?? ''))
      .map(({ zone, name, resource }) => `${zone}/${name} ${resource.status}`);
  }

  /** Sends a backend's request for an instance, and nothing more. */
  startInsert(spec: InstanceSpec, zone: string): void {
    const options = { zone, hash: hashSpec(spec), userData: '#!/bin/sh', now: Date.now() };
    const resource = toInstanceResource(this.#parse(), spec, options);
    this.server.cloud.insert(zone, resource, toRequestId(PROJECT, zone, spec.runner, 0));
  }

  #parse(more?: Record<string, unknown>): GceConfig {
    return gceBackend.parse(this.settings(more));
  }
}
