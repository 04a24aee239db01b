import { setTimeout as sleep } from 'node:timers/promises';
import { CreateTagsCommand, RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import type { Ec2Config } from '../../../contracts/config/ec2.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type {
  Backend,
  Bootstrap,
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
import { Removals } from '../removals.ts';
import { Serial } from '../serial.ts';
import { hashSpec } from '../spec-hash.ts';

/** How long what somebody else made may not show up yet before an empty answer counts, milliseconds. */
const LIST_LAG_MS = 10_000;
/** Between two looks while waiting for that, milliseconds. */
const LIST_LAG_POLL_MS = 500;
/** How long an instance that was made here is known where lists don't show it yet, milliseconds. */
const RECENT_MS = 60_000;
/** A token is spent by every attempt with other parameters: so many are repeats of one create. */
const MAX_GENERATIONS = 200;

export interface Ec2BackendOptions {
  /** The installation's name. */
  installation: string;
  config: Ec2Config;
  /** What an instance runs when it boots. */
  userData: RenderUserData;
  log: Logger;
  /** How long an empty answer may be too early. Default 10 s. */
  listLagMs?: number;
  /** Instances a page of a list: 5 to 1,000. Default 1,000. */
  pageSize?: number;
}

/** A create that is under way. */
type PendingCreate = Omit<RunOrder, 'placement' | 'token'> & { waitedForList: boolean };

/**
 * Instances as virtual machines of Amazon EC2, told apart by their tags. EC2 has no names that are unique, and its lists lag
 * behind: that a runner gets one instance rests on ClientToken, which EC2 itself keeps.
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
  /** How many tokens a runner has spent at a place. */
  readonly #generations = new Map<string, number>();

  constructor(options: Ec2BackendOptions) {
    this.#options = options;
    // A look that began before may still find one dead.
    this.#removals = new Removals(2 * options.config.poll);
    this.#clients = connectEc2(options.config);
    this.#instances = new Ec2Instances(this.#clients, options.installation, options.pageSize ?? 1000);
    this.#images = new Ec2Images(this.#clients);
    this.#dry = new DryPlacements(toPlacements(options.config), options.config.dry_for);
  }

  async create(spec: InstanceSpec, bootstrap: Bootstrap, abort: AbortSignal): Promise<Instance> {
    const { runner } = spec;
    if (spec.cpu !== undefined || spec.memoryBytes !== undefined) {
      const message = `creating ${runner}: its group sets cpu or memory, which on ec2 the backend’s types decide`;
      throw new BatonError('INSTANCE_INVALID', message);
    }
    return this.#serial.run(runner, async () => {
      abort.throwIfAborted();
      const hash = hashSpec(spec);
      const userData = this.#options.userData(spec, bootstrap);
      const earlier = await this.#find(runner, abort);
      if (earlier !== undefined) return this.#requireSameSpec(earlier, hash);
      const image = await this.#findImage(spec, abort);
      const making: PendingCreate = { spec, hash, image, userData, waitedForList: false };
      const begun = Date.now();
      const places = this.#dry.order(begun);
      for (const place of places) {
        // For the same reason as one before it.
        if (place !== places[0] && this.#dry.isDrySince(place, begun)) continue;
        const made = await this.#createAt(place, making, abort);
        if (made === undefined) continue;
        this.#recent.set(runner, { instance: made, until: Date.now() + RECENT_MS });
        return this.#requireSameSpec(await this.#removeDuplicate(made, abort), hash);
      }
      const message = `creating ${runner}: no capacity for ${places.map(formatPlacement).join(', ')}`;
      throw new BatonError('CAPACITY_EXHAUSTED', message, { details: { places } });
    });
  }

  async describe(runner: string, abort: AbortSignal): Promise<Instance | undefined> {
    const found = await this.#find(runner, abort);
    return found && toPlainInstance(found);
  }

  async list(abort: AbortSignal): Promise<Instance[]> {
    const all = await this.#instances.list(abort);
    // Terminated ones hold nothing any more.
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
          .filter(({ removed, stateName: word }) => !removed && word !== 'terminated')
          .map(({ id }) => id);
        if (unmarked.length > 0) await this.#markRemoved(unmarked, runner, abort);
        const left = found
          .filter(({ stateName: word }) => word !== 'terminated' && word !== 'shutting-down')
          .map(({ id }) => id);
        // From then on there is no way back: it and its volumes go.
        if (left.length > 0) await this.#terminate(left, runner, abort);
        this.#recent.delete(runner);
      });
    });
  }

  async tag(runner: string, tags: JobTags, abort: AbortSignal): Promise<'tagged' | 'absent'> {
    // Not in line behind what else is under way for that runner: a removal must not wait for this.
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

  /** Asks for an instance there; undefined when that place has no capacity. */
  async #createAt(place: Placement, making: PendingCreate, abort: AbortSignal): Promise<Ec2Instance | undefined> {
    const { config, log } = this.#options;
    const { runner } = making.spec;
    const doing = `making instance ${runner}, ${formatPlacement(place)}`;
    const first = toClientToken(making.spec, place, 0);
    for (let generation = this.#generations.get(first) ?? 0; generation < MAX_GENERATIONS; generation++) {
      abort.throwIfAborted();
      this.#generations.set(first, generation);
      const token = toClientToken(making.spec, place, generation);
      try {
        const command = new RunInstancesCommand(toRunRequest(config, { ...making, placement: place, token }));
        const { Instances: [machine] = [] } = await this.#clients.ec2.send(command, { abortSignal: abort });
        if (machine === undefined) throw new BatonError('BACKEND_UNAVAILABLE', `${doing}: the answer names none`);
        this.#dry.remove(place);
        this.#generations.delete(first);
        return toEc2Instance(machine);
      } catch (error) {
        abort.throwIfAborted();
        const code = getEc2ErrorCode(error);
        const scope = getDryScope(error);
        if (scope !== undefined) {
          this.#generations.set(first, generation + 1);
          this.#dry.add(place, scope);
          log.warn({ runner, place: formatPlacement(place), code }, 'no capacity');
          return undefined;
        }
        if (code !== 'IdempotentParameterMismatch' && code !== 'IdempotentInstanceTerminated') {
          throw toBatonError(error, doing, 'invalid');
        }
        // An earlier attempt with another credential in its user data: it made one that shows soon, or failed.
        const earlier = await this.#findEarlier(making, abort);
        if (earlier !== undefined) return earlier;
      }
    }
    throw new BatonError('BACKEND_UNAVAILABLE', `${doing}: ${MAX_GENERATIONS} tokens are spent`);
  }

  async #findEarlier(making: PendingCreate, abort: AbortSignal): Promise<Ec2Instance | undefined> {
    const look = async (): Promise<Ec2Instance[]> => {
      const found = await this.#find(making.spec.runner, abort);
      return found ? [found] : [];
    };
    const [found] = making.waitedForList ? await look() : await this.#waitForList(look, abort);
    making.waitedForList = true;
    return found;
  }

  /** Looks again until there is something, or until nothing counts as nothing. */
  async #waitForList(look: () => Promise<Ec2Instance[]>, abort: AbortSignal): Promise<Ec2Instance[]> {
    const bound = this.#options.listLagMs ?? LIST_LAG_MS;
    const deadline = Date.now() + bound;
    for (let last = false; ; last = Date.now() > deadline) {
      const found = await look();
      if (found.length > 0 || last) return found;
      await sleep(Math.min(LIST_LAG_POLL_MS, bound), undefined, { signal: abort });
    }
  }

  /** Of two that two processes made in different places, the older stays. */
  async #removeDuplicate(made: Ec2Instance, abort: AbortSignal): Promise<Ec2Instance> {
    const living = (await this.#instances.listForRunner(made.runner, abort)).filter(({ state }) => state === 'running');
    const oldest = living[0] ?? made;
    if (oldest.id === made.id) return made;
    await this.#markRemoved([made.id], made.runner, abort);
    await this.#terminate([made.id], made.runner, abort);
    this.#recent.set(made.runner, { instance: oldest, until: Date.now() + RECENT_MS });
    return oldest;
  }

  #requireSameSpec(found: Ec2Instance, hash: string): Instance {
    if (found.hash === hash) return toPlainInstance(found);
    const message = `creating ${found.runner}: ${found.id} is its instance, with other parameters`;
    throw new BatonError('INSTANCE_CONFLICT', message, { details: { instance: found.id } });
  }

  /** The runner's instance, dead or alive, unless it was removed. */
  async #find(runner: string, abort: AbortSignal): Promise<Ec2Instance | undefined> {
    const found = (await this.#listForRunner(runner, abort)).filter((one) => !isRemoved(one));
    return found.find(({ state }) => state === 'running') ?? found[0];
  }

  /** All that EC2 lists for a runner, and what was made here and is not yet listed. Oldest first. */
  async #listForRunner(runner: string, abort: AbortSignal): Promise<Ec2Instance[]> {
    const found = await this.#instances.listForRunner(runner, abort);
    return [...found, ...this.#listRecent(found).filter((one) => one.runner === runner)];
  }

  /** What was made here a moment ago and no list has shown yet, this one included. */
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
      `creating ${runner}: its group's image "${image}" is no image's id (ami-…)`,
    );
  }

  /** Says on the instances that their end is ours, before it: other processes watch, too. */
  async #markRemoved(ids: string[], runner: string, abort: AbortSignal): Promise<void> {
    const command = new CreateTagsCommand({ Resources: ids, Tags: [{ Key: TAGS.removed, Value: 'yes' }] });
    await callEc2(`marking ${runner} as removed`, abort, (options) => this.#clients.ec2.send(command, options));
  }

  async #terminate(ids: string[], runner: string, abort: AbortSignal): Promise<void> {
    const command = new TerminateInstancesCommand({ InstanceIds: ids });
    await callEc2(`removing instance ${runner}`, abort, (options) => this.#clients.ec2.send(command, options));
  }
}

/** Whether we ended it, and it has. */
function isRemoved({ removed, state }: Ec2Instance): boolean {
  return removed && state === 'dead';
}
