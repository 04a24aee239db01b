import type { GceConfig } from '../../../contracts/config/gce.ts';
import { BatonError } from '../../../contracts/errors.ts';
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
import type { GceInstance } from './answers.ts';
import type { Compute, InstanceResource } from './compute.ts';
import { GceDeathWatch } from './death-watch.ts';
import { DryZones } from './dry-zones.ts';
import { classifyFailure, isOutdated, isOutOfCapacity, isTaken, formatErrors } from './errors.ts';
import { toInstance } from './instance.ts';
import { toInstanceResource, toJobLabels, GCE_LABELS } from './instance-resource.ts';
import { deleteAll, deleteInstance } from './removal.ts';
import { toRequestId } from './request-id.ts';
import { forAll } from '../for-all.ts';
import { Removals } from '../removals.ts';
import { Serial } from '../serial.ts';
import { hashSpec } from '../spec-hash.ts';

/**
 * An older failed operation is that of an earlier attempt, which Compute Engine repeats: then a new request id is used.
 */
const MAX_FAILURE_AGE_MS = 30_000;
/** Compute Engine stores a request id for an hour, and a failing create is retried every few minutes at most. */
const MAX_REQUESTS = 60;
/** How long after its creation an instance that is missing from a list is looked up by its name. */
const RECENT_MS = 300_000;

/** How many concurrent changes of an instance's labels one change may run into. */
const MAX_CONFLICTS = 10;

/** How long Compute Engine may take to finish a removal, before it counts as failed. */
const REMOVAL_TIMEOUT_MS = 300_000;

export interface GceBackendOptions {
  /** The installation's name. */
  installation: string;
  config: GceConfig;
  /** Renders the script that an instance runs when it boots. */
  userData: RenderUserData;
  log: Logger;
  /** How long one removal may take, milliseconds. Default 5 minutes. */
  removalTimeoutMs?: number;
}

/**
 * Instances as virtual machines of Google Compute Engine, named like their runner: names are unique in a zone. To avoid
 * a second instance in another zone, every create first looks in all zones, including for requests that are still in
 * progress.
 */
export class GceBackend implements Backend {
  readonly type = 'gce';
  readonly #options: GceBackendOptions;
  readonly #serial = new Serial();
  readonly #dry: DryZones;
  readonly #removals: Removals;
  readonly #recent = new Map<string, { instance: Instance; until: number }>();
  readonly #watches = new Set<Instance[]>();
  #opened: Promise<Compute> | undefined;

  constructor(options: GceBackendOptions) {
    this.#options = options;
    // A poll that began before the removal may still find the instance missing.
    this.#removals = new Removals(2 * options.config.poll + 5000);
    this.#dry = new DryZones(options.config.dry_for);
  }

  async create(spec: InstanceSpec, bootstrap: Bootstrap, abort: AbortSignal, confirm?: Confirm): Promise<Instance> {
    const { config } = this.#options;
    const { runner } = spec;
    const hash = hashSpec(spec);
    return this.#serial.run(runner, async () => {
      const userData = this.#options.userData(spec, bootstrap);
      const resourceFor = (zone: string): InstanceResource =>
        toInstanceResource(config, spec, { zone, hash, userData, now: Date.now() });
      // Refuses an invalid spec before the first call.
      resourceFor(config.zones[0] ?? '');
      const [earlier, ...duplicates] = await this.#find(runner, { includePending: config.zones.length > 1 }, abort);
      if (earlier !== undefined) {
        const instance = requireSameSpec(earlier, spec, hash);
        const compute = await this.#compute();
        await forAll(duplicates.filter(this.#isOurs), async (one) => void (await deleteInstance(compute, one, abort)));
        return this.#remember(instance);
      }
      const zones = this.#dry.order(config.zones);
      for (const zone of zones) {
        const found = await this.#createIn(zone, resourceFor(zone), abort, confirm);
        if (found !== undefined) {
          this.#dry.remove(zone);
          return this.#remember(requireSameSpec(found, spec, hash));
        }
        this.#dry.add(zone);
        this.#options.log.warn({ runner, zone }, 'zone has no capacity');
      }
      const message = `creating ${runner}: no capacity for ${config.machine_type} in ${zones.join(', ')}`;
      throw new BatonError('CAPACITY_EXHAUSTED', message, { details: { zones } });
    });
  }

  async describe(runner: string, abort: AbortSignal): Promise<Instance | undefined> {
    const [found] = (await this.#find(runner, { includePending: false }, abort)).filter(this.#isOurs);
    return found && toInstance(found);
  }

  async list(abort: AbortSignal): Promise<Instance[]> {
    const compute = await this.#compute();
    const listed = (await compute.list(this.#filter(), abort)).map(toInstance);
    const ids = new Set(listed.map(({ id }) => id));
    for (const { instance, until } of this.#recent.values()) {
      if (until < Date.now()) this.#recent.delete(instance.runner);
      else if (!ids.has(instance.id)) {
        const found = await this.describe(instance.runner, abort);
        if (found?.id === instance.id) listed.push(found);
      }
    }
    return listed;
  }

  async delete(runner: string, abort: AbortSignal): Promise<void> {
    return this.#serial.run(runner, async () => {
      await this.#removals.track(runner, async () => {
        await deleteAll(
          {
            runner,
            compute: await this.#compute(),
            timeoutMs: this.#options.removalTimeoutMs ?? REMOVAL_TIMEOUT_MS,
            find: async (bound) => (await this.#find(runner, { includePending: true }, bound)).filter(this.#isOurs),
          },
          abort,
        );
        this.#recent.delete(runner);
      });
    });
  }

  async tag(runner: string, tags: JobTags, abort: AbortSignal): Promise<'tagged' | 'absent'> {
    const labels = toJobLabels(tags);
    const compute = await this.#compute();
    // Not serialised with the runner's other calls: a removal must not wait for this.
    for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts++) {
      const [found] = (await this.#find(runner, { includePending: false }, abort)).filter(this.#isOurs);
      if (found === undefined) return 'absent';
      if (Object.entries(labels).every(([name, value]) => found.labels[name] === value)) return 'tagged';
      // The call replaces all labels, so it includes those set by others; the fingerprint detects concurrent changes.
      const operation = await compute.setLabels(found, { ...found.labels, ...labels }, abort).catch(ignoreOutdated);
      if (operation === undefined) continue;
      const failures = formatErrors((await compute.wait(found.zone, operation, abort)).error);
      if (failures === '') return 'tagged';
      throw new BatonError('BACKEND_UNAVAILABLE', `labelling ${runner} in ${found.zone}: ${failures}`);
    }
    throw new BatonError('BACKEND_UNAVAILABLE', `labelling ${runner}: another client kept changing its labels`);
  }

  async watch(onDeath: (dead: Instance) => void, abort: AbortSignal): Promise<void> {
    const { installation, config, log } = this.#options;
    const created: Instance[] = [];
    this.#watches.add(created);
    try {
      await new GceDeathWatch({
        compute: await this.#compute(),
        installation,
        zones: config.zones,
        spot: config.spot,
        pollMs: config.poll,
        filter: this.#filter(),
        onDeath,
        isRemoving: this.#removals.has,
        takeCreated: () => created.splice(0),
        log,
      }).run(abort);
    } finally {
      this.#watches.delete(created);
    }
  }

  /** Requests the instance in that zone and waits for it; undefined when the zone has no capacity. */
  async #createIn(
    zone: string,
    resource: InstanceResource,
    abort: AbortSignal,
    confirm: Confirm | undefined,
  ): Promise<GceInstance | undefined> {
    const compute = await this.#compute();
    const runner = resource.name ?? '';
    const doing = `creating ${runner} in ${zone}`;
    for (let request = 0; request < MAX_REQUESTS; request++) {
      const id = toRequestId(this.#options.config.project, zone, runner, request);
      await confirm?.();
      const answer = await compute.insert(zone, resource, id, abort).catch(toRefusal);
      if (answer === 'no-capacity') return undefined;
      const done = answer === 'exists' ? undefined : await compute.wait(zone, answer, abort);
      const errors = done?.error ?? [];
      const kind = errors.length === 0 ? 'exists' : classifyFailure(errors);
      if (kind === 'exists') {
        const found = await compute.get(zone, runner, abort);
        if (found !== undefined) return found;
        // The request was refused, and the other instance of this name has gone. Otherwise an earlier request of this
        // create succeeded and its instance is gone: request another one.
        if (answer === 'exists') break;
        continue;
      }
      if (done !== undefined && Date.now() - Date.parse(done.endTime) > MAX_FAILURE_AGE_MS) continue;
      if (kind === 'no-capacity') return undefined;
      const message = `${doing}: ${formatErrors(errors)}`;
      throw new BatonError(kind === 'invalid' ? 'INSTANCE_INVALID' : 'BACKEND_UNAVAILABLE', message);
    }
    throw new BatonError('BACKEND_UNAVAILABLE', `${doing}: its name is taken, but no instance was found`);
  }

  /**
   * All instances of that runner’s name. Looks one by one in the configured zones, since lists lag behind. If
   * there is none, lists all other zones too: they may have been configured when the instance was created.
   *
   * @param options.includePending whether to wait for a create that is still in progress
   */
  async #find(
    runner: string,
    { includePending }: { includePending: boolean },
    abort: AbortSignal,
  ): Promise<GceInstance[]> {
    const compute = await this.#compute();
    const look = async (zone: string): Promise<GceInstance | undefined> => {
      const found = await compute.get(zone, runner, abort);
      if (found !== undefined || !includePending) return found;
      const operations = await compute.listOperations(zone, `targetLink eq ".*/instances/${runner}"`, 20, abort);
      const insert = operations.find(({ operationType, status }) => operationType === 'insert' && status !== 'DONE');
      if (insert === undefined) return undefined;
      await compute.wait(zone, insert, abort);
      return compute.get(zone, runner, abort);
    };
    const found = (await Promise.all(this.#options.config.zones.map(look))).filter((one) => one !== undefined);
    // Another owner's instance of this name says nothing of ours.
    if (!found.some(this.#isOurs))
      found.push(...(await compute.list(`(name = "${runner}") AND ${this.#filter()}`, abort)));
    return found.toSorted((a, b) => (a.creationTimestamp < b.creationTimestamp ? -1 : 1));
  }

  readonly #isOurs = ({ labels }: GceInstance): boolean =>
    labels[GCE_LABELS.installation] === this.#options.installation;

  #filter(): string {
    return `(labels.${GCE_LABELS.installation} = "${this.#options.installation}")`;
  }

  #remember(instance: Instance): Instance {
    this.#recent.set(instance.runner, { instance, until: Date.now() + RECENT_MS });
    if (instance.state === 'running') for (const watch of this.#watches) watch.push(instance);
    return instance;
  }

  /** Google's library is large: only workers of this backend load it, and only when they first need it. */
  #compute(): Promise<Compute> {
    const { project, endpoint } = this.#options.config;
    this.#opened ??= import('./compute.ts').then((library) => new library.Compute(project, endpoint));
    return this.#opened;
  }
}

/** Converts the found instance; throws unless it belongs to this installation and has the same parameters. */
function requireSameSpec(found: GceInstance, spec: InstanceSpec, hash: string): Instance {
  const { labels } = found;
  if (labels[GCE_LABELS.installation] !== spec.installation || labels[GCE_LABELS.spec] !== hash) {
    const whose = labels[GCE_LABELS.installation] === spec.installation ? 'other parameters' : 'another owner';
    const message = `creating ${spec.runner}: an instance of that name in ${found.zone} has ${whose}`;
    throw new BatonError('INSTANCE_CONFLICT', message);
  }
  return toInstance(found);
}

function toRefusal(error: unknown): 'exists' | 'no-capacity' {
  if (error instanceof BatonError && isOutOfCapacity(error)) return 'no-capacity';
  if (error instanceof BatonError && isTaken(error)) return 'exists';
  throw error;
}

function ignoreOutdated(error: unknown): undefined {
  if (!isOutdated(error)) throw error;
}
