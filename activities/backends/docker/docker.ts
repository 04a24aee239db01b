import type Docker from 'dockerode';
import type { AgentBundle } from '../../../contracts/messages/bootstrap-file.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type {
  Backend,
  Bootstrap,
  Confirm,
  FilterObserver,
  Instance,
  InstanceSpec,
  PullObserver,
} from '../../../contracts/ports/backend.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { packAgent } from './archive.ts';
import { AGENT_FOLDER, toContainerOptions, parseUser } from './container-options.ts';
import { DockerDeathWatch } from './death-watch.ts';
import { inspectContainer, listContainers, removeContainer, type ListedContainer } from './answers.ts';
import { callEngine, callEngineExpecting, connectEngine, DOCKER_LABELS, toLabelFilter } from './engine.ts';
import { HostFilter } from './host-filter/host-filter.ts';
import { ImagePulls } from './image-pulls.ts';
import { inspectionToInstance, listingToInstance, networkToInstance } from './instance.ts';
import { ensureNetwork, findNetworks, removeNetworks } from './network.ts';
import { toBootstrapFile } from '../bootstrap-file.ts';
import { removeAll } from './remove-all.ts';
import { Removals } from '../removals.ts';
import { Serial } from '../serial.ts';
import { hashSpec } from '../spec-hash.ts';

/** How long the engine may take to finish a removal that is already in progress. */
const REMOVAL_TIMEOUT_MS = 60_000;

export interface DockerBackendOptions {
  /** The installation's name. */
  installation: string;
  /** The engine's socket, or `tcp://host:port`. */
  socket: string;
  /** IPv4 prefix: runners' networks are ranges of it. */
  networkPool: string;
  agent: AgentBundle;
  observePulls?: PullObserver | undefined;
  /** Absent: instances reach the engine's machine. */
  filter?: FilterSettings | undefined;
  log: Logger;
  /** How long the engine may take to finish a removal, milliseconds. Default a minute for a container, 10 s for a network. */
  removalTimeoutMs?: number;
}

/** What the packet filter between instances and the engine's machine is made from. */
export interface FilterSettings {
  /** `host:port` that instances may reach even if it is on the engine's machine. */
  allowed: readonly string[];
  /** An image with Node 24 and iptables, or what makes one on the engine and resolves with its name. */
  image: string | ((docker: Docker) => Promise<string>);
  observe?: FilterObserver | undefined;
}

/**
 * Instances as containers of one Docker engine, each alone in its own network, without capabilities, without root, and
 * without the engine's socket. The agent and its bootstrap file are copied into the container before it starts, so that
 * neither the image, the environment nor the labels hold a secret.
 */
export class DockerBackend implements Backend {
  readonly type = 'docker';
  readonly #options: DockerBackendOptions;
  readonly #docker: Docker;
  readonly #serial = new Serial();
  readonly #removals: Removals;
  readonly #pulls: ImagePulls;
  readonly #filter: HostFilter | undefined;

  constructor(options: DockerBackendOptions) {
    this.#options = options;
    // The engine's events may arrive after the removal.
    this.#removals = new Removals(5000);
    this.#docker = connectEngine(options.socket);
    this.#pulls = new ImagePulls({ docker: this.#docker, observe: options.observePulls, log: options.log });
    this.#filter = options.filter && this.#createFilter(options.filter);
  }

  async create(spec: InstanceSpec, bootstrap: Bootstrap, abort: AbortSignal, confirm?: Confirm): Promise<Instance> {
    parseUser(spec);
    if (spec.image === undefined) {
      throw new BatonError('INSTANCE_INVALID', `creating ${spec.runner}: its group sets no image`);
    }
    const { image } = spec;
    return this.#serial.run(spec.runner, async () => {
      const hash = hashSpec(spec);
      let found = await inspectContainer(this.#docker, spec.runner, abort);
      if (found === undefined) {
        await this.#pulls.ensure(image, abort);
        await this.#filter?.ensure(abort);
        await confirm?.();
        const { networkPool: pool } = this.#options;
        const bridgePrefix = this.#filter?.bridgePrefix;
        const network = await ensureNetwork(this.#docker, spec, { pool, hash, bridgePrefix }, abort);
        const created = await this.#createContainer(spec, { network, hash }, abort);
        if (created !== undefined) return this.#start(created, spec, bootstrap, abort);
        // Another process created it in between.
        found = await inspectContainer(this.#docker, spec.runner, abort);
      }
      if (found === undefined) {
        throw new BatonError(
          'BACKEND_UNAVAILABLE',
          `creating ${spec.runner}: its name is taken, but no container was found`,
        );
      }
      const { Labels: labels } = found.Config;
      if (labels[DOCKER_LABELS.installation] !== spec.installation || labels[DOCKER_LABELS.spec] !== hash) {
        const whose = labels[DOCKER_LABELS.installation] === spec.installation ? 'other parameters' : 'another owner';
        throw new BatonError('INSTANCE_CONFLICT', `creating ${spec.runner}: a container of that name has ${whose}`);
      }
      return found.State.Status === 'created'
        ? this.#start(found.Id, spec, bootstrap, abort)
        : inspectionToInstance(found);
    });
  }

  async describe(runner: string, abort: AbortSignal): Promise<Instance | undefined> {
    const info = await inspectContainer(this.#docker, runner, abort);
    if (info?.Config.Labels[DOCKER_LABELS.installation] === this.#options.installation)
      return inspectionToInstance(info);
    const [network] = await findNetworks(this.#docker, this.#options.installation, runner, abort);
    return network && networkToInstance(network);
  }

  async list(abort: AbortSignal): Promise<Instance[]> {
    const containers = (await this.#listContainers(undefined, abort)).map(listingToInstance);
    const runners = new Set(containers.map(({ runner }) => runner));
    const networks = (await findNetworks(this.#docker, this.#options.installation, undefined, abort)).map(
      networkToInstance,
    );
    return [...containers, ...networks.filter(({ runner }) => !runners.has(runner))];
  }

  async delete(runner: string, abort: AbortSignal): Promise<void> {
    return this.#serial.run(runner, async () => {
      await this.#removals.track(runner, async () => {
        await this.#removeContainers(runner, abort);
        await removeNetworks(this.#docker, this.#options, runner, abort);
      });
    });
  }

  async watch(onDeath: (dead: Instance) => void, abort: AbortSignal): Promise<void> {
    const deaths = new DockerDeathWatch({
      docker: this.#docker,
      installation: this.#options.installation,
      onDeath,
      isRemoving: this.#removals.has,
      onReconnected: () => this.#filter?.invalidate(),
      log: this.#options.log,
    });
    await Promise.all([deaths.run(abort), this.#filter?.watch(abort)]);
  }

  #createFilter({ allowed, image, observe }: FilterSettings): HostFilter {
    const { installation, networkPool, log } = this.#options;
    const findImage = async (abort: AbortSignal): Promise<string> => {
      if (typeof image !== 'string') return image(this.#docker);
      await this.#pulls.ensure(image, abort);
      return image;
    };
    return new HostFilter({ docker: this.#docker, installation, networkPool, image: findImage, allowed, observe, log });
  }

  #listContainers(runner: string | undefined, abort: AbortSignal): Promise<ListedContainer[]> {
    return listContainers(this.#docker, toLabelFilter(this.#options.installation, runner), abort);
  }

  /** Returns the container's id; undefined when the name is taken. */
  async #createContainer(
    spec: InstanceSpec,
    options: { network: string; hash: string },
    abort: AbortSignal,
  ): Promise<string | undefined> {
    const created = await callEngineExpecting(`creating container ${spec.runner}`, abort, [409], (abortSignal) =>
      this.#docker.createContainer({ ...toContainerOptions(spec, options), abortSignal }),
    );
    return created === 409 ? undefined : created.id;
  }

  /**
   * Copies the agent in and starts the container. Repeats all steps: an earlier process may have died at any of them.
   */
  async #start(id: string, spec: InstanceSpec, bootstrap: Bootstrap, abort: AbortSignal): Promise<Instance> {
    const { runner } = spec;
    const container = this.#docker.getContainer(id);
    const content = toBootstrapFile(spec, bootstrap, `${AGENT_FOLDER}/agent.sock`);
    const archive = await packAgent(this.#options.agent, content, parseUser(spec));
    await callEngine(`copying the agent into ${runner}`, abort, (abortSignal) =>
      container.putArchive(archive, { path: '/', abortSignal }),
    );
    // 304: it is already running.
    await callEngineExpecting(`starting container ${runner}`, abort, [304], (abortSignal) =>
      container.start({ abortSignal }),
    );
    return { id, runner, group: spec.group, state: 'running', createdAt: new Date().toISOString() };
  }

  /** Finds them by labels, never by name alone: a container of that name may belong to another installation. */
  async #removeContainers(runner: string, abort: AbortSignal): Promise<void> {
    const removal = {
      doing: `removing container ${runner}`,
      timeoutMs: this.#options.removalTimeoutMs ?? REMOVAL_TIMEOUT_MS,
      list: () => this.#listContainers(runner, abort),
      remove: ({ Id: id }: ListedContainer) => removeContainer(this.#docker, id, removal.doing, abort),
    };
    await removeAll(removal, abort);
  }
}
