import { createHash, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { z } from 'zod';
import type { AgentBundle } from '../../../contracts/messages/bootstrap-file.ts';
import type { InstanceSpec } from '../../../contracts/ports/backend.ts';
import { createRunnerName } from '../../../contracts/workflows/runner-name.ts';
import { createUserDataRenderer } from '../../../activities/backends/cloud-init/user-data.ts';
import { bundleAgent } from '../../../services/backend/agent-bundle.ts';
import { openContainerAccess, type ContainerAccess } from '../../support/containers.ts';
import { JOB_ENV, startAgentWorld, type AgentWorld } from '../../support/agent.ts';
import { bootMachine, removeMachines, type TestMachine, type MachineKind } from './machine.ts';

/** What its release's run.sh does: the hooks, and says who it is. */
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
  /** False: no release is configured. */
  withRelease?: boolean;
  releaseSha256?: string;
  /** Settings in front of the script, in place of what it was rendered with. */
  settings?: Record<string, string>;
  spot?: boolean;
  env?: string[];
}

export interface Booted {
  machine: TestMachine;
  runner: string;
  /** Lines of its NATS credential that nobody may read. */
  secrets: string[];
}

/** Where bare machines are switched on: NATS with a registrar, an ingress that serves the agent, a place of releases. */
export class MachineLab {
  readonly world: AgentWorld;
  readonly agent: AgentBundle;
  /** What machines reach this lab's HTTP server by. */
  readonly url: string;
  /** What is answered under a path; nothing at all where it is undefined. */
  readonly served: Map<string, Buffer>;
  readonly #installation: string;
  readonly #release: string;
  readonly #server: Server;
  readonly #door: ContainerAccess;

  private constructor(parts: {
    world: AgentWorld;
    agent: AgentBundle;
    url: string;
    served: Map<string, Buffer>;
    release: string;
    server: Server;
    door: ContainerAccess;
  }) {
    this.world = parts.world;
    this.agent = parts.agent;
    this.url = parts.url;
    this.served = parts.served;
    this.#release = parts.release;
    this.#server = parts.server;
    this.#door = parts.door;
    this.#installation = `b${randomUUID().slice(0, 6)}`;
  }

  static async open(): Promise<MachineLab> {
    const [world, agent, release] = await Promise.all([startAgentWorld(), bundleAgent(), releaseArchive()]);
    const served = new Map([
      [`/agent/${agent.hash}.tar`, agent.archive],
      ['/runner.tar.gz', release],
    ]);
    const server = createServer((request, response) => {
      const found = served.get(request.url ?? '');
      if (request.url !== '/silent/agent.tar') response.writeHead(found ? 200 : 404).end(found);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = z.object({ port: z.number() }).parse(server.address());
    const door = await openContainerAccess([port, Number(new URL(world.nats.address).port)]);
    const url = door.rename(`http://127.0.0.1:${port}`);
    return new MachineLab({ world, agent, url, served, release: sha256(release), server, door });
  }

  async close(): Promise<void> {
    await removeMachines(`baton.test=${this.#installation}`);
    await this.#door.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await this.world.stop();
  }

  /** Switches on a machine of that kind, as a backend's user data has it. */
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
        block_metadata: true,
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
    let userData = render(spec, { natsUrl: this.#door.rename(this.world.nats.address), credentials });
    for (const [name, value] of Object.entries(options.settings ?? {})) {
      userData = userData.replace(new RegExp(`^${name}=.*$`, 'm'), `${name}='${value}'`);
    }
    const labels = { 'baton.test': this.#installation };
    const machine = await bootMachine({ ...kind, name: runner, userData, labels, env: options.env ?? [] });
    return { machine, runner, secrets: credentials.split('\n').filter((line) => /^(SU|ey)/.test(line)) };
  }
}

/** As a forge publishes its runner. */
async function releaseArchive(): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name: './run.sh', mode: 0o755 }, RUN_SH);
  archive.finalize();
  return buffer(archive.pipe(createGzip()));
}

export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
