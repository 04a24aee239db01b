import { setTimeout as sleep } from 'node:timers/promises';
import { CreateTagsCommand, RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import type { Ec2Config } from '../../../contracts/config/ec2.ts';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type {
  Backend,
  Bootstrap,
  Confirm,
  Instance,
  InstanceSpec,
  JobTags,
  RenderUserData,
} from '../../../contracts/ports/backend.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { callEc2, connectEc2, type Ec2Clients } from './client.ts';
import { Ec2DeathWatch } from './death-watch.ts';
import { getEc2ErrorCode, getDryScope, toBatonError } from './errors.ts';
import { Ec2Images, type Ec2Image } from './image.ts';
import { Ec2Instances, toPlainInstance, toEc2Instance, type Ec2Instance } from './instances.ts';
import { DryPlacements, toPlacements, formatPlacement, type Placement } from './placements.ts';
import { toClientToken, toJobTags, toRunRequest, TAGS, type RunOrder } from './request.ts';
import { forAll } from '../for-all.ts';
import { Removals } from '../removals.ts';
import { Serial } from '../serial.ts';
import { hashSpec } from '../spec-hash.ts';

/** An instance that another process has just created may be missing from lists for this long. */
const LIST_LAG_MS = 10_000;
const LIST_LAG_POLL_MS = 500;
/** How long this process remembers an instance it created that lists don't show yet. */
const RECENT_MS = 60_000;
/** Every attempt with other parameters uses up a token: this bounds the attempts of one create. */
const MAX_GENERATIONS = 200;

export interface Ec2BackendOptions {
  /** The installation's name. */
  installation: string;
  config: Ec2Config;
  /** Renders the script that an instance runs when it boots. */
  userData: RenderUserData;
  log: Logger;
  /** How long after its creation an instance may be missing from lists. Default 10 s. */
  listLagMs?: number;
  /** Instances per page of a list: 5 to 1,000. Default 1,000. */
  pageSize?: number;
}

/** A create in progress. */
type PendingCreate = Omit<RunOrder, 'placement' | 'token'> & { waitedForList: boolean };

/**
 * Instances as virtual machines of Amazon EC2, identified by their tags. EC2 has no unique names, and its lists lag
 * behind. Only the ClientToken, which EC2 itself stores, ensures that a runner gets one instance.
 */
export class Ec2Backend implements Backend {
  readonly type = 'ec2';
  readonly #options: Ec2BackendOptions;
  readonly #clients: Ec2Clients;
  readonly #instances: Ec2Instances;
  readonly #images: Ec2Images;
  readonly #dry: DryPlacements;
  readonly #serial = new Serial();
  readonly #removals: Removals;
  readonly #recent = new Map<string, { instance: Ec2Instance; until: number }>();
  /** By a runner's first token at a placement: how many tokens it has used up there. */
  readonly #generations = new Map<string, number>();

  constructor(options: Ec2BackendOptions) {
    this.#options = options;
    // A poll that began before the removal may still find the instance dead.
    this.#removals = new Removals(2 * options.config.poll);
    this.#clients = connectEc2(options.config);
    this.#instances = new Ec2Instances(this.#clients, options.installation, options.pageSize ?? 1000);
    this.#images = new Ec2Images(this.#clients);
    this.#dry = new DryPlacements(toPlacements(options.config), options.config.dry_for);
  }

  async create(spec: InstanceSpec, bootstrap: Bootstrap, abort: AbortSignal, confirm?: Confirm): Promise<Instance> {
    const { runner } = spec;
    if (spec.cpu !== undefined || spec.memoryBytes !== undefined) {
      const message = `creating ${runner}: its group sets cpu or memory; on ec2, the backend’s types decide them`;
      throw new BatonError('INSTANCE_INVALID', message);
    }
    return this.#serial.run(runner, async () => {
      abort.throwIfAborted();
      const hash = hashSpec(spec);
      const userData = this.#options.userData(spec, bootstrap);
      const earlier = await this.#find(runner, abort);
      if (earlier !== undefined) return this.#requireSameSpec(earlier, hash);
      const image = await this.#findImage(spec, abort);
      const pending: PendingCreate = { spec, hash, image, userData, waitedForList: false };
      const begun = Date.now();
      const placements = this.#dry.order(begun);
      for (const placement of placements) {
        // It lacks capacity for the same reason as one that was just tried.
        if (placement !== placements[0] && this.#dry.isDrySince(placement, begun)) continue;
        await confirm?.();
        const made = await this.#createAt(placement, pending, abort);
        if (made === undefined) continue;
        this.#recent.set(runner, { instance: made, until: Date.now() + RECENT_MS });
        return this.#requireSameSpec(await this.#removeDuplicate(made, abort), hash);
      }
      const message = `creating ${runner}: no capacity for ${placements.map(formatPlacement).join(', ')}`;
      throw new BatonError('CAPACITY_EXHAUSTED', message, { details: { placements } });
    });
  }

  async describe(runner: string, abort: AbortSignal): Promise<Instance | undefined> {
    const found = await this.#find(runner, abort);
    return found && toPlainInstance(found);
  }

  async list(abort: AbortSignal): Promise<Instance[]> {
    const all = await this.#instances.list(abort);
    // Terminated instances hold no resources.
    return [...all, ...this.#listRecent(all)]
      .filter((found) => found.stateName !== 'terminated' && !isRemoved(found))
      .map(toPlainInstance);
  }

  async delete(runner: string, abort: AbortSignal): Promise<void> {
    return this.#serial.run(runner, async () => {
      await this.#removals.track(runner, async () => {
        let found = await this.#listForRunner(runner, abort);
        if (found.length === 0) found = await this.#waitForList(() => this.#listForRunner(runner, abort), abort);
        const unmarked = found
          .filter(({ removed, stateName }) => !removed && stateName !== 'terminated')
          .map(({ id }) => id);
        if (unmarked.length > 0) await this.#markRemoved(unmarked, runner, abort);
        const left = found
          .filter(({ stateName }) => stateName !== 'terminated' && stateName !== 'shutting-down')
          .map(({ id }) => id);
        // This cannot be undone: the instance and its volumes are deleted.
        await forAll(left, (id) => this.#terminate(id, runner, abort));
        this.#recent.delete(runner);
      });
    });
  }

  async tag(runner: string, tags: JobTags, abort: AbortSignal): Promise<'tagged' | 'absent'> {
    // Not serialised with the runner's other calls: a removal must not wait for this.
    const found = await this.#find(runner, abort);
    if (found === undefined) return 'absent';
    const command = new CreateTagsCommand({ Resources: [found.id], Tags: toJobTags(tags) });
    await callEc2(`tagging instance ${runner}`, abort, (options) => this.#clients.ec2.send(command, options));
    return 'tagged';
  }

  async watch(onDeath: (dead: Instance) => void, abort: AbortSignal): Promise<void> {
    await new Ec2DeathWatch({
      instances: this.#instances,
      pollMs: this.#options.config.poll,
      onDeath,
      isRemoving: this.#removals.has,
      log: this.#options.log,
    }).run(abort);
  }

  /** Requests an instance at that placement; undefined when the placement has no capacity. */
  async #createAt(placement: Placement, pending: PendingCreate, abort: AbortSignal): Promise<Ec2Instance | undefined> {
    const { config, log } = this.#options;
    const { runner } = pending.spec;
    const doing = `creating instance ${runner}, ${formatPlacement(placement)}`;
    const first = toClientToken(pending.spec, placement, 0);
    for (let generation = this.#generations.get(first) ?? 0; generation < MAX_GENERATIONS; generation++) {
      abort.throwIfAborted();
      this.#generations.set(first, generation);
      const token = toClientToken(pending.spec, placement, generation);
      try {
        const command = new RunInstancesCommand(toRunRequest(config, { ...pending, placement, token }));
        const { Instances: [machine] = [] } = await this.#clients.ec2.send(command, { abortSignal: abort });
        if (machine === undefined)
          throw new BatonError('BACKEND_UNAVAILABLE', `${doing}: the answer names no instance`);
        this.#dry.remove(placement);
        this.#generations.delete(first);
        return toEc2Instance(machine);
      } catch (error) {
        abort.throwIfAborted();
        const code = getEc2ErrorCode(error);
        const scope = getDryScope(error);
        if (scope !== undefined) {
          this.#generations.set(first, generation + 1);
          this.#dry.add(placement, scope);
          log.warn({ runner, placement: formatPlacement(placement), code }, 'placement has no capacity');
          return undefined;
        }
        if (code !== 'IdempotentParameterMismatch' && code !== 'IdempotentInstanceTerminated') {
          throw toBatonError(error, doing, 'invalid');
        }
        // An earlier attempt had another credential in its user data. Its instance shows up soon, or it failed.
        const earlier = await this.#findEarlier(pending, abort);
        if (earlier !== undefined) return earlier;
      }
    }
    throw new BatonError('BACKEND_UNAVAILABLE', `${doing}: all ${MAX_GENERATIONS} tokens are used up`);
  }

  async #findEarlier(pending: PendingCreate, abort: AbortSignal): Promise<Ec2Instance | undefined> {
    const look = async (): Promise<Ec2Instance[]> => {
      const found = await this.#find(pending.spec.runner, abort);
      return found ? [found] : [];
    };
    const [found] = pending.waitedForList ? await look() : await this.#waitForList(look, abort);
    pending.waitedForList = true;
    return found;
  }

  /** Repeats the look-up until it finds something, or until an empty answer can be trusted. */
  async #waitForList(look: () => Promise<Ec2Instance[]>, abort: AbortSignal): Promise<Ec2Instance[]> {
    const listLagMs = this.#options.listLagMs ?? LIST_LAG_MS;
    const deadline = Date.now() + listLagMs;
    for (let last = false; ; last = Date.now() > deadline) {
      const found = await look();
      if (found.length > 0 || last) return found;
      await sleep(Math.min(LIST_LAG_POLL_MS, listLagMs), undefined, { signal: abort });
    }
  }

  /**
   * Two processes may have created an instance at different placements: terminates this one unless it is the oldest,
   * and returns the oldest.
   */
  async #removeDuplicate(made: Ec2Instance, abort: AbortSignal): Promise<Ec2Instance> {
    const living = (await this.#instances.listForRunner(made.runner, abort)).filter(({ state }) => state === 'running');
    const oldest = living[0] ?? made;
    if (oldest.id === made.id) return made;
    await this.#markRemoved([made.id], made.runner, abort);
    await this.#terminate(made.id, made.runner, abort);
    this.#recent.set(made.runner, { instance: oldest, until: Date.now() + RECENT_MS });
    return oldest;
  }

  #requireSameSpec(found: Ec2Instance, hash: string): Instance {
    if (found.hash === hash) return toPlainInstance(found);
    const message = `creating ${found.runner}: its instance ${found.id} exists with other parameters`;
    throw new BatonError('INSTANCE_CONFLICT', message, { details: { instance: found.id } });
  }

  /** The runner's instance, running or dead, unless Baton removed it. */
  async #find(runner: string, abort: AbortSignal): Promise<Ec2Instance | undefined> {
    const found = (await this.#listForRunner(runner, abort)).filter((one) => !isRemoved(one));
    return found.find(({ state }) => state === 'running') ?? found[0];
  }

  /** All instances that EC2 lists for a runner, then those that this process created and EC2 does not list yet. */
  async #listForRunner(runner: string, abort: AbortSignal): Promise<Ec2Instance[]> {
    const found = await this.#instances.listForRunner(runner, abort);
    return [...found, ...this.#listRecent(found).filter((one) => one.runner === runner)];
  }

  /** The instances that this process has just created and that no list has shown yet, including the given one. */
  #listRecent(listed: Ec2Instance[]): Ec2Instance[] {
    const now = Date.now();
    for (const { runner, id } of listed) if (this.#recent.get(runner)?.instance.id === id) this.#recent.delete(runner);
    for (const [runner, { until }] of this.#recent) if (until < now) this.#recent.delete(runner);
    return [...this.#recent.values()].map(({ instance }) => instance);
  }

  async #findImage({ runner, image }: InstanceSpec, abort: AbortSignal): Promise<Ec2Image | undefined> {
    if (image === undefined) return this.#options.config.image && this.#images.find(this.#options.config.image, abort);
    if (/^ami-[0-9a-f]+$/.test(image)) return this.#images.find({ id: image }, abort);
    throw new BatonError(
      'INSTANCE_INVALID',
      `creating ${runner}: its group's image "${image}" is not an image id (ami-…)`,
    );
  }

  /**
   * Tags the instances before Baton terminates them: other processes watch them too. Without the tag these would report a death;
   * so a refusal, such as of an instance that has all its 50 tags, keeps no instance alive.
   */
  async #markRemoved(ids: string[], runner: string, abort: AbortSignal): Promise<void> {
    const command = new CreateTagsCommand({ Resources: ids, Tags: [{ Key: TAGS.removed, Value: 'yes' }] });
    try {
      await callEc2(`marking ${runner} as removed`, abort, (options) => this.#clients.ec2.send(command, options));
    } catch (error) {
      abort.throwIfAborted();
      this.#options.log.warn({ runner, reason: getErrorMessage(error) }, 'instance not marked as removed');
    }
  }

  /** EC2 terminates none of several that one call names where it refuses one. */
  async #terminate(id: string, runner: string, abort: AbortSignal): Promise<void> {
    const doing = `removing instance ${runner} (${id})`;
    const command = new TerminateInstancesCommand({ InstanceIds: [id] });
    const answer = await callEc2(doing, abort, (options) => this.#clients.ec2.send(command, options));
    const state = answer.TerminatingInstances?.find(({ InstanceId }) => InstanceId === id)?.CurrentState?.Name;
    if (state !== 'shutting-down' && state !== 'terminated') {
      throw new BatonError('BACKEND_UNAVAILABLE', `${doing}: the answer does not say that it is terminated`);
    }
  }
}

/** Whether Baton has terminated it, and it has ended. */
function isRemoved({ removed, state }: Ec2Instance): boolean {
  return removed && state === 'dead';
}
