import { randomBytes } from 'node:crypto';
import { Document } from 'yaml';
import { examineSecrets } from '../../../contracts/lib/examine-secrets.ts';
import { parseConfig } from '../../../contracts/lib/load-config.ts';
import { buildFilterImage } from '../../../deploy/images/filter-image.ts';
import { chooseBackend } from './demo-backend.ts';
import { DEMO_SECRETS, createDemoConfig, toInstallationName } from './demo.ts';
import { readDocument, findServersToStart } from './effective-config.ts';
import { findDockerEngine, type Engine } from './engine.ts';
import { installFakeRunner, buildFakeRunnerImage } from './fake-runner.ts';
import type { StateFolder } from './state-folder.ts';

/** What to start, before any address is known. */
export interface StartPlan {
  headline: string;
  demo: boolean;
  /** Number of backends. */
  backends: number;
  serversToStart: { temporal: boolean; nats: boolean };
  /** The Docker engine whose containers must reach this machine. */
  engine: Engine | undefined;
  /** Secrets that were made here, by environment variable. */
  secrets: Record<string, string>;
  /** The configuration; that of the demo has its forge at `simulatorUrl`. */
  document(simulatorUrl: string): Document;
}

/** Plans the demo: a simulated GitHub, one group, throw-away secrets. */
export async function planDemo(wanted: 'docker' | 'local' | undefined, state: StateFolder): Promise<StartPlan> {
  const chosen = await chooseBackend(wanted);
  const docker = chosen.type === 'docker' ? chosen : undefined;
  await installFakeRunner(state.fakeRunner);
  const runnerDirectory = docker ? '/home/runner' : state.fakeRunner;
  const installation = toInstallationName(process.cwd());
  const backend = docker
    ? {
        type: docker.type,
        socket: docker.engine.socket,
        image: await buildFakeRunnerImage(docker.engine.docker, docker.image, state.fakeRunner),
        // The demo's jobs are its own: an engine in a virtual machine, or one without iptables, may do without.
        allowHostAccess: await buildFilterImage(docker.engine.docker).then(
          () => false,
          () => true,
        ),
      }
    : { type: 'local' as const, root: state.instances };
  return {
    headline: `Baton demo, runners on ${chosen.type} (${chosen.why})`,
    demo: true,
    backends: 1,
    serversToStart: { temporal: true, nats: true },
    engine: docker?.engine,
    secrets: {
      [DEMO_SECRETS.webhook]: randomBytes(32).toString('hex'),
      [DEMO_SECRETS.token]: `ghp_${randomBytes(18).toString('hex')}`,
    },
    document: (forgeUrl) => new Document(createDemoConfig({ installation, forgeUrl, backend, runnerDirectory })),
  };
}

/**
 * Plans an installation with a configuration of your own. The servers that it names are used, the others are started.
 *
 * @throws BatonError CONFIG_UNREADABLE, CONFIG_INVALID, SECRET_INVALID
 */
export async function planFromConfig(file: string): Promise<StartPlan> {
  const document = readDocument(file);
  const config = parseConfig(document.toString(), file);
  // Before any server starts. The services warn of what Baton corrects by itself.
  examineSecrets(config);
  const docker = Object.values(config.backends).find((backend) => backend.type === 'docker');
  const engine =
    docker && !docker.socket.startsWith('tcp://')
      ? await findDockerEngine({ DOCKER_HOST: `unix://${docker.socket}` })
      : undefined;
  return {
    headline: `Baton, installation ${config.name}, configured by ${file}`,
    demo: false,
    backends: Object.keys(config.backends).length,
    serversToStart: findServersToStart(document),
    engine: engine && !('absent' in engine) ? engine : undefined,
    secrets: {},
    document: () => document,
  };
}
