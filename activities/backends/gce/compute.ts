import { setTimeout as sleep } from 'node:timers/promises';
import type { protos } from '@google-cloud/compute';
import { InstancesClient } from '@google-cloud/compute/build/src/v1/instances_client.js';
import { ZoneOperationsClient } from '@google-cloud/compute/build/src/v1/zone_operations_client.js';
import { toBackendError, CODE, isNotFound } from './errors.ts';
import { gceInstance, gceOperation, type GceInstance, type GceOperation } from './answers.ts';

export type InstanceResource = protos.google.cloud.compute.v1.IInstance;
export type NetworkResource = protos.google.cloud.compute.v1.INetworkInterface;
type ListOperations = protos.google.cloud.compute.v1.IListZoneOperationsRequest;
type OperationsPage = [
  protos.google.cloud.compute.v1.IOperation[],
  ListOperations | null,
  protos.google.cloud.compute.v1.IOperationList,
];

/** How long one attempt at a call may take, and how often a call is retried. */
const ATTEMPT_TIMEOUT_MS = 30_000;
const MAX_RETRIES = 4;
/** The server holds a wait for an operation open for up to two minutes. */
const WAIT_TIMEOUT_MS = 150_000;
const WAIT_DELAY_MS = 500;
const PAGE_SIZE = 500;

const EMPTY = 'NO_RESULTS_ON_PAGE';
const INCOMPLETE = new Set(['UNREACHABLE', 'PARTIAL_SUCCESS']);

/**
 * All calls are safe to repeat: reading, deleting by name, labelling by fingerprint, and creating under a `requestId`.
 */
const RETRY = {
  retryCodes: [CODE.unavailable, CODE.deadline, CODE.internal],
  backoffSettings: {
    initialRetryDelayMillis: 200,
    retryDelayMultiplier: 2,
    maxRetryDelayMillis: 5000,
    initialRpcTimeoutMillis: ATTEMPT_TIMEOUT_MS,
    rpcTimeoutMultiplier: 1,
    maxRpcTimeoutMillis: ATTEMPT_TIMEOUT_MS,
    // The library accepts one of the two limits. A limit on the total time could interrupt a wait.
    totalTimeoutMillis: null,
    maxRetries: MAX_RETRIES,
  },
};

interface Clients {
  instances: InstancesClient;
  operations: ZoneOperationsClient;
}

/**
 * By endpoint: creating clients takes half a second of reading schemas, and all backends of an endpoint can use their
 * token.
 */
const shared = new Map<string, Promise<Clients>>();

/** The needed part of Compute Engine's API: each call has a timeout, can be aborted, and has its answer parsed. */
export class Compute {
  readonly #project: string;
  readonly #endpoint: URL | undefined;

  /** @param endpoint replaces Google's own, e.g. a private one */
  constructor(project: string, endpoint?: string) {
    this.#project = project;
    this.#endpoint = endpoint === undefined ? undefined : new URL(endpoint);
  }

  /** Undefined when the API answers that there is none. */
  async get(zone: string, instance: string, abort: AbortSignal): Promise<GceInstance | undefined> {
    const project = this.#project;
    return this.#call(`looking for ${instance} in ${zone}`, abort, async ({ instances }, options) => {
      try {
        const [found] = await instances.get({ project, zone, instance }, options);
        return gceInstance.parse(found);
      } catch (error) {
        if (isNotFound(error, instance)) return undefined;
        throw error;
      }
    });
  }

  /** All instances that match the filter, in all zones. */
  async list(filter: string, abort: AbortSignal): Promise<GceInstance[]> {
    const project = this.#project;
    return this.#call(`listing instances of ${project}`, abort, async ({ instances }, options) => {
      const found: GceInstance[] = [];
      const request = { project, filter, maxResults: PAGE_SIZE, returnPartialSuccess: false };
      let zones = 0;
      for await (const [zone, scope] of instances.aggregatedListAsync(request, { ...options, autoPaginate: false })) {
        const inZone = scope.instances ?? [];
        const warning = scope.warning?.code ?? '';
        // A zone that could not be read has an empty page, which does not mean that the zone is empty.
        if (INCOMPLETE.has(warning) || (inZone.length === 0 && warning !== EMPTY)) {
          throw new Error(`${zone} answered ${warning || 'nothing'}: ${scope.warning?.message ?? ''}`);
        }
        found.push(...inZone.map((instance) => gceInstance.parse(instance)));
        zones++;
      }
      // Each page names all zones, also the empty ones: an object without any is not the API's answer.
      if (zones === 0) throw new Error('the list names no zone');
      return found;
    });
  }

  /** Starts to create; a repeated request returns the operation of the first one. */
  async insert(
    zone: string,
    instanceResource: InstanceResource,
    requestId: string,
    abort: AbortSignal,
  ): Promise<GceOperation> {
    const project = this.#project;
    return this.#call(
      `creating ${instanceResource.name} in ${zone}`,
      abort,
      async ({ instances }, options) => {
        const [answer] = await instances.insert({ project, zone, instanceResource, requestId }, options);
        return gceOperation.parse(answer.latestResponse);
      },
      'invalid',
    );
  }

  /** Starts to delete; undefined when the API answers that there is none. */
  async delete(zone: string, instance: string, abort: AbortSignal): Promise<GceOperation | undefined> {
    const project = this.#project;
    return this.#call(`deleting ${instance} in ${zone}`, abort, async ({ instances }, options) => {
      try {
        const [answer] = await instances.delete({ project, zone, instance }, options);
        return gceOperation.parse(answer.latestResponse);
      } catch (error) {
        if (isNotFound(error, instance)) return undefined;
        throw error;
      }
    });
  }

  /** Starts to replace all labels; refused (412) if they have changed since the fingerprint was read. */
  async setLabels(
    { zone, name: instance, labelFingerprint }: GceInstance,
    labels: Record<string, string>,
    abort: AbortSignal,
  ): Promise<GceOperation> {
    const project = this.#project;
    return this.#call(
      `labelling ${instance} in ${zone}`,
      abort,
      async ({ instances }, options) => {
        const instancesSetLabelsRequestResource = { labels, labelFingerprint };
        const [answer] = await instances.setLabels(
          { project, zone, instance, instancesSetLabelsRequestResource },
          options,
        );
        return gceOperation.parse(answer.latestResponse);
      },
      'invalid',
    );
  }

  /** Resolves when the operation is done, successfully or not; without a call where it was already. */
  async wait(zone: string, started: GceOperation, abort: AbortSignal): Promise<GceOperation> {
    const project = this.#project;
    const operation = started.name;
    let state = started;
    while (state.status !== 'DONE') {
      state = await this.#call(`waiting for ${operation} in ${zone}`, abort, async ({ operations }, options) => {
        const backoffSettings = {
          ...RETRY.backoffSettings,
          initialRpcTimeoutMillis: WAIT_TIMEOUT_MS,
          maxRpcTimeoutMillis: WAIT_TIMEOUT_MS,
        };
        const [answer] = await operations.wait(
          { project, zone, operation },
          { ...options, timeout: WAIT_TIMEOUT_MS, retry: { ...RETRY, backoffSettings } },
        );
        return gceOperation.parse(answer);
      });
      // An overloaded server answers at once.
      if (state.status !== 'DONE') await sleep(WAIT_DELAY_MS, undefined, { signal: abort });
    }
    return state;
  }

  /** The zone's operations that match the filter, newest first, at most `max`. */
  async listOperations(zone: string, filter: string, max: number, abort: AbortSignal): Promise<GceOperation[]> {
    const project = this.#project;
    return this.#call(`listing operations in ${zone}`, abort, async ({ operations }, options) => {
      const found: GceOperation[] = [];
      let request: ListOperations | null = {
        project,
        zone,
        filter,
        maxResults: Math.min(max, PAGE_SIZE),
        orderBy: 'creationTimestamp desc',
      };
      // The library's own loop ends after some empty pages, although more follow.
      while (request !== null && found.length < max) {
        const [page, next, answer]: OperationsPage = await operations.list(request, {
          ...options,
          autoPaginate: false,
        });
        if (answer.kind !== 'compute#operationList') throw new Error('the answer is no list of operations');
        found.push(...page.slice(0, max - found.length).map((operation) => gceOperation.parse(operation)));
        request = next;
      }
      return found;
    });
  }

  async #call<T>(
    doing: string,
    abort: AbortSignal,
    call: (clients: Clients, options: { timeout: number; retry: typeof RETRY; signal: AbortSignal }) => Promise<T>,
    refused: 'invalid' | 'retry' = 'retry',
  ): Promise<T> {
    abort.throwIfAborted();
    const { promise: ended, reject: end } = Promise.withResolvers<never>();
    const onAbort = (): void => end(abort.reason);
    abort.addEventListener('abort', onAbort);
    try {
      const answered = this.#connect().then((clients) =>
        call(clients, { timeout: ATTEMPT_TIMEOUT_MS, retry: RETRY, signal: abort }),
      );
      // The library's search for credentials ignores the signal.
      return await Promise.race([answered, ended]);
    } catch (error) {
      abort.throwIfAborted();
      throw toBackendError(doing, error, refused);
    } finally {
      abort.removeEventListener('abort', onAbort);
    }
  }

  #connect(): Promise<Clients> {
    const key = this.#endpoint?.href ?? '';
    let clients = shared.get(key);
    if (clients === undefined) {
      clients = this.#open().catch((error: unknown) => {
        shared.delete(key);
        throw error;
      });
      shared.set(key, clients);
    }
    return clients;
  }

  /** Also loads the credentials: if that were left to the first call, its failure would be an unhandled rejection. */
  async #open(): Promise<Clients> {
    const endpoint = this.#endpoint;
    const where =
      endpoint === undefined
        ? {}
        : {
            apiEndpoint: endpoint.hostname,
            port: Number(endpoint.port) || (endpoint.protocol === 'http:' ? 80 : 443),
            protocol: endpoint.protocol.replace(':', ''),
          };
    // A token may be revoked before it expires; the library then requests a new one, once.
    const clientOptions = { forceRefreshOnFailure: true };
    const instances = new InstancesClient({ ...where, fallback: true, clientOptions });
    const operations = new ZoneOperationsClient({ ...where, fallback: true, auth: instances.auth });
    await instances.initialize();
    await operations.initialize();
    return { instances, operations };
  }
}
