import { createHash, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import type { AgentBundle } from '../../../contracts/messages/bootstrap-file.ts';
import type { InstanceSpec } from '../../../contracts/ports/backend.ts';
import { createRunnerName } from '../../../contracts/workflows/runner-name.ts';
import { findFreePort } from '../../../contracts/lib/free-ports.ts';
import { createUserDataRenderer } from '../../../activities/backends/cloud-init/user-data.ts';
import { bundleAgent } from '../../../services/backend/agent-bundle.ts';
import { openContainerAccess, type ContainerAccess } from '../../support/containers.ts';
import { JOB_ENV, startAgentWorld, type AgentWorld } from '../../support/agent.ts';
import { bootMachine, removeMachines, type TestMachine, type MachineKind } from './machine.ts';

/** run.sh of the runner release: runs the hooks, and prints its user and folders. */
const RUN_SH = `#!/bin/sh
${JOB_ENV}
sh -e "$ACTIONS_RUNNER_HOOK_JOB_STARTED"
echo "user $(id -u):$(id -g) in $(pwd), home $HOME"
cat /var/lib/cloud/instance/scripts/user-data /run/baton/agent/bootstrap.json 2>&1 | grep -c 'No such file'
sh -e "$ACTIONS_RUNNER_HOOK_JOB_COMPLETED"
`;

export interface BootOptions {
  spec?: Partial<InstanceSpec>;
  /** Default gce. */
  cloud?: 'ec2' | 'gce';
  /** Whether a runner release is configured. Default: true. */
  withRelease?: boolean;
  releaseSha256?: string;
  /** Overrides of the settings at the beginning of the script. */
  settings?: Record<string, string>;
  spot?: boolean;
  /** Default true. */
  blockMetadata?: boolean;
  /** A script that root runs before the user data. */
  before?: string;
  env?: string[];
}

export interface Booted {
  machine: TestMachine;
  runner: string;
  /** The secret lines of its NATS credential. */
  secrets: string[];
}

/** Boots bare machines: with NATS and a registrar, and an HTTP server for the agent and the runner release. */
export class MachineLab {
  readonly world: AgentWorld;
  readonly agent: AgentBundle;
  /** The URL at which machines reach the lab's HTTP server. */
  readonly url: string;
  /** The content to serve by path; other paths get 404. */
  readonly served: Map<string, Buffer>;
  readonly #installation: string;
  readonly #release: string;
  readonly #server: Server;
  readonly #access: ContainerAccess;

  private constructor(parts: {
    world: AgentWorld;
    agent: AgentBundle;
    url: string;
    served: Map<string, Buffer>;
    release: string;
    server: Server;
    access: ContainerAccess;
  }) {
    this.world = parts.world;
    this.agent = parts.agent;
    this.url = parts.url;
    this.served = parts.served;
    this.#release = parts.release;
    this.#server = parts.server;
    this.#access = parts.access;
    this.#installation = `b${randomUUID().slice(0, 6)}`;
  }

  static async open(): Promise<MachineLab> {
    const [world, agent, release] = await Promise.all([startAgentWorld(), bundleAgent(), packRelease()]);
    const served = new Map([
      [`/agent/${agent.hash}.tar`, agent.archive],
      ['/runner.tar.gz', release],
    ]);
    const server = createServer((request, response) => {
      const found = served.get(request.url ?? '');
      if (request.url !== '/silent/agent.tar') response.writeHead(found ? 200 : 404).end(found);
    });
    const port = await findFreePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const access = await openContainerAccess([port, Number(new URL(world.nats.address).port)]);
    const url = access.rename(`http://127.0.0.1:${port}`);
    return new MachineLab({ world, agent, url, served, release: sha256(release), server, access });
  }

  async close(): Promise<void> {
    await removeMachines(`baton.test=${this.#installation}`);
    await this.#access.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await this.world.stop();
  }

  /** Boots a machine of that kind with the user data of a backend. */
  async boot(kind: MachineKind, options: BootOptions = {}): Promise<Booted> {
    const runner = createRunnerName(this.#installation, 'linux', randomUUID());
    const release = { url: `${this.url}/runner.tar.gz`, sha256: options.releaseSha256 ?? this.#release };
    const render = createUserDataRenderer({
      cloud: options.cloud ?? 'gce',
      agentSha256: this.agent.hash,
      spot: options.spot ?? false,
      config: {
        ingress_url: this.url,
        runner_release: options.withRelease === false ? undefined : release,
        block_metadata: options.blockMetadata ?? true,
      },
    });
    const expiresAt = new Date(Date.now() + 600_000);
    const credentials = await this.world.mint(runner, expiresAt);
    const spec: InstanceSpec = {
      installation: this.#installation,
      group: 'linux',
      runner,
      pids: 100,
      user: '1002:1003',
      program: { directory: '/opt/runner' },
      expiresAt: expiresAt.toISOString(),
      ...options.spec,
    };
    let userData = render(spec, { natsUrl: this.#access.rename(this.world.nats.address), credentials });
    for (const [name, value] of Object.entries(options.settings ?? {})) {
      userData = userData.replace(new RegExp(`^${name}=.*$`, 'm'), `${name}='${value}'`);
    }
    if (options.before !== undefined) userData = userData.replace('\n', () => `\n${options.before}\n`);
    const labels = { 'baton.test': this.#installation };
    const machine = await bootMachine({ ...kind, name: runner, userData, labels, env: options.env ?? [] });
    return { machine, runner, secrets: credentials.split('\n').filter((line) => /^(SU|ey)/.test(line)) };
  }
}

/** An archive like those that a forge publishes its runner in. */
async function packRelease(): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name: './run.sh', mode: 0o755 }, RUN_SH);
  archive.finalize();
  return buffer(archive.pipe(createGzip()));
}

export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
