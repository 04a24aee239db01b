import type Docker from 'dockerode';
import { z } from 'zod';
import { getDockerStatus } from '../../../contracts/lib/docker-status.ts';
import { callEngine, callEngineUnless } from './engine.ts';

const labels = z
  .record(z.string(), z.string())
  .nullish()
  .transform((found) => found ?? {});

/** A container in the engine's list: the fields that Baton reads. */
const listedContainer = z.object({
  Id: z.string().min(1),
  Labels: labels,
  State: z.string().min(1),
  Status: z.string(),
  /** Seconds since the epoch. */
  Created: z.number(),
});

const inspectedContainer = z.object({
  Id: z.string().min(1),
  Created: z.string().min(1),
  Config: z.object({ Labels: labels }),
  State: z.object({
    Status: z.string().min(1),
    ExitCode: z.number(),
    OOMKilled: z.boolean().nullish(),
    Error: z.string().nullish(),
  }),
});

const listedNetwork = z.object({
  Id: z.string().min(1),
  Created: z.string().min(1),
  Labels: labels,
  IPAM: z.object({ Config: z.array(z.object({ Subnet: z.string().nullish() })).nullish() }).nullish(),
});

/** What the engine answers to a request that is for a container it doesn't have, also Podman's. */
const noSuchContainer = z.object({ message: z.string().regex(/no such container|no container with/i) });

export type ListedContainer = z.infer<typeof listedContainer>;
export type InspectedContainer = z.infer<typeof inspectedContainer>;
export type ListedNetwork = z.infer<typeof listedNetwork>;

/**
 * The containers that match the filters, also ended ones. What is no list, such as an empty body, says nothing of them.
 *
 * @throws BatonError as {@link callEngine}
 */
export function listContainers(
  docker: Docker,
  filters: { label: string[] },
  abort: AbortSignal,
): Promise<ListedContainer[]> {
  const list = async (abortSignal: AbortSignal): Promise<ListedContainer[]> =>
    z.array(listedContainer).parse(await docker.listContainers({ all: true, filters, abortSignal }));
  return callEngine('listing containers', abort, list, 'retry');
}

/**
 * The container of that id or name; undefined only when the engine itself says that it has none: the 404 of a proxy doesn't.
 *
 * @throws BatonError as {@link callEngine}
 */
export function inspectContainer(
  docker: Docker,
  id: string,
  abort: AbortSignal,
): Promise<InspectedContainer | undefined> {
  const inspect = async (abortSignal: AbortSignal): Promise<InspectedContainer | undefined> => {
    try {
      return inspectedContainer.parse(await docker.getContainer(id).inspect({ abortSignal }));
    } catch (error) {
      if (getDockerStatus(error) === 404 && noSuchContainer.safeParse(Reflect.get(Object(error), 'json')).success) {
        return undefined;
      }
      throw error;
    }
  };
  return callEngine(`looking for ${id}`, abort, inspect, 'retry');
}

/**
 * Removes a container, also a running one, with its volumes.
 *
 * @returns the engine's text where it is gone already, or will be soon; undefined where this call removed it
 * @throws BatonError as {@link callEngine}
 */
export function removeContainer(
  docker: Docker,
  id: string,
  doing: string,
  abort: AbortSignal,
): Promise<string | undefined> {
  const remove = (abortSignal: AbortSignal): Promise<void> =>
    docker.getContainer(id).remove({ force: true, v: true, abortSignal });
  // 404: it is gone. 409: it is being removed already, or can't be stopped yet.
  return callEngineUnless(doing, abort, (status) => status === 404 || status === 409, remove);
}

/**
 * The networks that match the filters; all networks without one.
 *
 * @throws BatonError as {@link callEngine}
 */
export function listNetworks(
  docker: Docker,
  filters: { label: string[] } | undefined,
  abort: AbortSignal,
): Promise<ListedNetwork[]> {
  const list = async (abortSignal: AbortSignal): Promise<ListedNetwork[]> =>
    z.array(listedNetwork).parse(await docker.listNetworks({ ...(filters && { filters }), abortSignal }));
  return callEngine('listing networks', abort, list, 'retry');
}
