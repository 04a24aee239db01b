import { randomBytes, randomInt } from 'node:crypto';
import { GceApiError, conditionNotMet, gceInvalid, gceNotFound } from './errors.ts';
import { checkInsert, checkLabels, insertBody, labelsBody, type InsertBody } from './instance-rules.ts';

const ROOT = 'https://www.googleapis.com/compute/v1';

/** An instance: the resource in the answers, and internal state. */
export interface Machine {
  resource: Record<string, unknown> & { id: string; name: string; zone: string; status: string };
  zone: string;
  name: string;
  body: InsertBody;
  /** Lists show it from this time on, milliseconds since the epoch. */
  listedFrom: number;
}

export interface Operation {
  resource: Record<string, unknown> & { name: string; status: string };
  zone: string;
  done: Promise<void>;
}

export interface CloudOptions {
  project: string;
  zones: string[];
  /** How long an operation takes, milliseconds. */
  operationMs?: number;
  /** If set, new operations do not finish before it resolves. */
  gate?: Promise<void> | undefined;
  /** How late lists show a new instance, milliseconds. */
  listLagMs?: number;
  /** Called when a machine is switched on, and when its power is cut. */
  onBoot?: (machine: Machine) => void;
  onPowerCut?: (machine: Machine) => void;
}

/** A project of Compute Engine: its zones' instances and operations. */
export class Cloud {
  readonly options: CloudOptions;
  readonly machines = new Map<string, Machine>();
  readonly operations: Operation[] = [];
  /** Zones without capacity. */
  readonly exhausted = new Set<string>();
  readonly #requests = new Map<string, Operation>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: CloudOptions) {
    this.options = options;
  }

  get(zone: string, name: string): Machine {
    const machine = this.machines.get(`${zone}/${name}`);
    if (machine === undefined) throw gceNotFound(`projects/${this.options.project}/zones/${zone}/instances/${name}`);
    return machine;
  }

  insert(zone: string, json: unknown, requestId: string | undefined): Operation {
    const replayed = this.#replay('insert', zone, requestId);
    if (replayed) return replayed;
    const body = insertBody.parse(json);
    checkInsert(body, zone);
    const link = this.#link(zone, 'instances', body.name);
    if (this.machines.has(`${zone}/${body.name}`)) {
      throw new GceApiError(409, 'alreadyExists', `The resource '${link.slice(ROOT.length + 1)}' already exists`);
    }
    const id = newId();
    const resource = {
      ...Object(json),
      kind: 'compute#instance',
      id,
      name: body.name,
      creationTimestamp: new Date().toISOString(),
      zone: `${ROOT}/projects/${this.options.project}/zones/${zone}`,
      machineType: `${ROOT}/projects/${this.options.project}/${body.machineType}`,
      selfLink: link,
      status: 'PROVISIONING',
      labelFingerprint: newFingerprint(),
    };
    const listedFrom = Date.now() + (this.options.listLagMs ?? 0);
    const machine: Machine = { resource, zone, name: body.name, body, listedFrom };
    this.machines.set(`${zone}/${body.name}`, machine);
    const operation = this.#operate('insert', machine, requestId, () => {
      if (this.exhausted.has(zone)) {
        this.machines.delete(`${zone}/${body.name}`);
        return {
          code: 'ZONE_RESOURCE_POOL_EXHAUSTED',
          message: `The zone '${zone}' does not have enough resources available to fulfill the request. Try a different zone, or try again later.`,
        };
      }
      resource.status = 'RUNNING';
      this.#limitLife(machine);
      this.options.onBoot?.(machine);
      return undefined;
    });
    if (requestId !== undefined) this.#requests.set(`insert ${zone} ${requestId}`, operation);
    return operation;
  }

  delete(zone: string, name: string, requestId: string | undefined): Operation {
    const replayed = this.#replay('delete', zone, requestId);
    if (replayed) return replayed;
    const machine = this.get(zone, name);
    if (machine.resource.status === 'DEPROVISIONING') {
      throw new GceApiError(
        400,
        'resourceNotReady',
        `The resource '${this.#link(zone, 'instances', name)}' is not ready`,
      );
    }
    machine.resource.status = 'DEPROVISIONING';
    const operation = this.#operate('delete', machine, requestId, () => {
      this.#remove(machine);
      return undefined;
    });
    if (requestId !== undefined) this.#requests.set(`delete ${zone} ${requestId}`, operation);
    return operation;
  }

  /** Replaces all labels; refused where they have changed since the given fingerprint. */
  setLabels(zone: string, name: string, json: unknown, requestId: string | undefined): Operation {
    const replayed = this.#replay('setLabels', zone, requestId);
    if (replayed) return replayed;
    const machine = this.get(zone, name);
    const { labels, labelFingerprint } = labelsBody.parse(json);
    if (machine.resource['labelFingerprint'] !== labelFingerprint) throw conditionNotMet();
    checkLabels(labels, (field, value, why) => {
      throw gceInvalid(`Invalid value for field '${field}': '${String(value)}'. ${why}`);
    });
    this.#changeLabels(machine, labels);
    const operation = this.#operate('setLabels', machine, requestId, () => undefined);
    if (requestId !== undefined) this.#requests.set(`setLabels ${zone} ${requestId}`, operation);
    return operation;
  }

  readLabels(zone: string, name: string): Record<string, string> {
    return { ...this.get(zone, name).body.labels };
  }

  /** Sets a label, as another client would. */
  addLabel(zone: string, name: string, key: string, value: string): void {
    const machine = this.get(zone, name);
    this.#changeLabels(machine, { ...machine.body.labels, [key]: value });
  }

  operation(zone: string, name: string): Operation {
    const found = this.operations.find((operation) => operation.zone === zone && operation.resource.name === name);
    if (found === undefined) throw gceNotFound(`projects/${this.options.project}/zones/${zone}/operations/${name}`);
    return found;
  }

  /** The machine is switched off, by itself or by its host. */
  powerOff(zone: string, name: string): void {
    const { resource } = this.get(zone, name);
    if (resource.status === 'RUNNING') resource.status = 'TERMINATED';
  }

  /** Compute Engine takes a spot instance back. */
  preempt(zone: string, name: string): void {
    const machine = this.get(zone, name);
    this.#operate('compute.instances.preempted', machine, undefined, () => undefined, 0);
    machine.resource.status = 'STOPPING';
    this.#after(this.options.operationMs ?? 30, () => this.#terminate(machine));
  }

  requireZone(zone: string): void {
    if (!this.options.zones.includes(zone))
      throw gceInvalid(`Invalid value for field 'zone': '${zone}'. Unknown zone.`);
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const machine of this.machines.values()) this.options.onPowerCut?.(machine);
    this.machines.clear();
  }

  #replay(kind: string, zone: string, requestId: string | undefined): Operation | undefined {
    this.requireZone(zone);
    if (requestId === undefined) return undefined;
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(requestId) || /^[0-]+$/.test(requestId)) {
      throw gceInvalid(`Invalid value for field 'requestId': '${requestId}'. Must be a valid UUID.`);
    }
    return this.#requests.get(`${kind} ${zone} ${requestId}`);
  }

  #changeLabels({ resource, body }: Machine, labels: Record<string, string>): void {
    body.labels = labels;
    Object.assign(resource, { labels, labelFingerprint: newFingerprint() });
  }

  #limitLife(machine: Machine): void {
    const seconds = machine.body.scheduling.maxRunDuration?.seconds;
    if (seconds !== undefined && seconds < 2_000_000) this.#after(seconds * 1000, () => this.#terminate(machine));
  }

  #terminate(machine: Machine): void {
    if (this.machines.get(`${machine.zone}/${machine.name}`) !== machine) return;
    if (machine.body.scheduling.instanceTerminationAction === 'DELETE') this.#remove(machine);
    else machine.resource.status = 'TERMINATED';
    this.options.onPowerCut?.(machine);
  }

  #remove(machine: Machine): void {
    this.machines.delete(`${machine.zone}/${machine.name}`);
    this.options.onPowerCut?.(machine);
  }

  /** Starts an operation, which does its work later; the work returns what failed. */
  #operate(
    operationType: string,
    { zone, name, resource: { id } }: Machine,
    clientOperationId: string | undefined,
    work: () => { code: string; message: string } | undefined,
    ms = this.options.operationMs ?? 30,
  ): Operation {
    const operationName = `operation-${Date.now()}-${newId()}`;
    const now = new Date().toISOString();
    const resource: Operation['resource'] = {
      kind: 'compute#operation',
      id: newId(),
      name: operationName,
      zone: `${ROOT}/projects/${this.options.project}/zones/${zone}`,
      operationType,
      ...(clientOperationId === undefined ? {} : { clientOperationId }),
      targetLink: this.#link(zone, 'instances', name),
      targetId: id,
      status: 'RUNNING',
      progress: 0,
      insertTime: now,
      startTime: now,
      selfLink: this.#link(zone, 'operations', operationName),
    };
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      const failure = work();
      Object.assign(resource, { status: 'DONE', progress: 100, endTime: new Date().toISOString() });
      if (failure) {
        const more = { httpErrorStatusCode: 503, httpErrorMessage: 'SERVICE UNAVAILABLE' };
        Object.assign(resource, { error: { errors: [failure] }, ...more });
      }
      resolve();
    };
    const { gate } = this.options;
    this.#after(ms, () => void (gate ? gate.then(end) : end()));
    const operation = { resource, zone, done };
    this.operations.unshift(operation);
    return operation;
  }

  #after(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms).unref();
    this.#timers.add(timer);
  }

  #link(zone: string, kind: string, name: string): string {
    return `${ROOT}/projects/${this.options.project}/zones/${zone}/${kind}/${name}`;
  }
}

function newFingerprint(): string {
  return randomBytes(8).toString('base64');
}

function newId(): string {
  return String(BigInt(randomInt(2 ** 40)) * 4096n + BigInt(randomInt(4096)) + 1n);
}
