import { createHash, randomUUID } from 'node:crypto';
import type Docker from 'dockerode';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { getDockerStatus } from '../../../contracts/lib/docker-status.ts';
import type { InstanceSpec } from '../../../contracts/ports/backend.ts';
import { listNetworks, type ListedNetwork } from './answers.ts';
import { callEngine, callEngineUnless, DOCKER_LABELS, toLabelFilter } from './engine.ts';
import { removeAll } from './remove-all.ts';

/** A /28 has room for the engine's gateway and one container. */
const PREFIX_BITS = 28;
const NETWORK_SIZE = 2 ** (32 - PREFIX_BITS);

/** How long a network may still have endpoints of a removed container. */
const DETACH_TIMEOUT_MS = 10_000;

/** An IPv4 range, including both ends. */
interface Range {
  from: number;
  to: number;
}

/** Parses `10.213.0.0/16`; undefined for everything else, such as IPv6. */
export function parseRange(prefix: string): Range | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(prefix);
  if (!match) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, bits = 0] = match.slice(1).map(Number);
  const size = 2 ** (32 - bits);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  const from = address - (address % size);
  return { from, to: from + size - 1 };
}

function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

/**
 * Finds the runner's own network by its labels, or creates it. Each network gets a /28 of the pool, chosen by the hash
 * of the runner's name, so that processes that choose at the same time seldom choose the same; the engine refuses a
 * range in use.
 *
 * @returns the network's id
 * @throws BatonError BACKEND_UNAVAILABLE also when the whole pool is in use: the caller retries until a range is free
 */
export async function ensureNetwork(
  docker: Docker,
  spec: InstanceSpec,
  options: { pool: string; hash: string; bridgePrefix?: string | undefined },
  abort: AbortSignal,
): Promise<string> {
  const { installation, group, runner } = spec;
  const [found] = await findNetworks(docker, installation, runner, abort);
  if (found) return found.Id;
  const labels = {
    [DOCKER_LABELS.installation]: installation,
    [DOCKER_LABELS.group]: group,
    [DOCKER_LABELS.runner]: runner,
    [DOCKER_LABELS.spec]: options.hash,
  };
  return createFreeNetwork(docker, { name: runner, labels, ...options }, abort);
}

/** What a new network is made from. */
interface NetworkOrder {
  name: string;
  labels: Record<string, string>;
  /** IPv4 prefix of which it gets a /28. */
  pool: string;
  /** Of the name of its bridge. Absent: the engine names it. */
  bridgePrefix?: string | undefined;
}

/**
 * Creates a network with a free range of the pool.
 *
 * @returns the network's id
 * @throws BatonError as {@link ensureNetwork}
 */
export async function createFreeNetwork(docker: Docker, order: NetworkOrder, abort: AbortSignal): Promise<string> {
  const pool = parseRange(order.pool);
  if (pool === undefined) throw new BatonError('CONFIG_INVALID', `network_pool ${order.pool} is not an IPv4 prefix`);
  const count = Math.floor((pool.to - pool.from + 1) / NETWORK_SIZE);
  const first = createHash('sha256').update(order.name).digest().readUInt32BE(0) % count;
  let taken: Range[] | undefined;
  for (let offset = 0; offset < count; offset++) {
    const from = pool.from + ((first + offset) % count) * NETWORK_SIZE;
    const to = from + NETWORK_SIZE - 1;
    if (taken?.some((range) => range.from <= to && from <= range.to)) continue;
    const id = await createNetwork(docker, order, `${formatAddress(from)}/${PREFIX_BITS}`, abort);
    if (id !== undefined) return id;
    taken = await listTakenRanges(docker, abort);
  }
  throw new BatonError(
    'BACKEND_UNAVAILABLE',
    `creating a network for ${order.name}: all ${count} ranges of ${order.pool} are in use`,
  );
}

/** Returns the network's id; undefined when the range is in use. */
async function createNetwork(
  docker: Docker,
  { name, labels, bridgePrefix }: NetworkOrder,
  subnet: string,
  abort: AbortSignal,
): Promise<string | undefined> {
  return callEngine(`creating network ${name} with ${subnet}`, abort, async (abortSignal) => {
    try {
      const network = await docker.createNetwork({
        // Two processes may create one at the same time. The engine would accept the same name twice and then call it
        // ambiguous. With two names both work, and the unused network is removed together with the runner.
        Name: `${name}-${randomUUID().slice(0, 8)}`,
        Driver: 'bridge',
        EnableIPv6: false,
        IPAM: { Config: [{ Subnet: subnet }] },
        ...(bridgePrefix && {
          Options: { 'com.docker.network.bridge.name': `${bridgePrefix}${randomUUID().slice(0, 8)}` },
        }),
        Labels: labels,
        abortSignal,
      });
      return network.id;
    } catch (error) {
      if (getDockerStatus(error) !== undefined && /overlap/i.test(getErrorMessage(error))) return undefined;
      throw error;
    }
  });
}

async function listTakenRanges(docker: Docker, abort: AbortSignal): Promise<Range[]> {
  const networks = await listNetworks(docker, undefined, abort);
  return networks
    .flatMap((network) => network.IPAM?.Config ?? [])
    .map((range) => parseRange(range.Subnet ?? ''))
    .filter((range) => range !== undefined);
}

/** This installation's networks, of one runner or of all. A runner may have two, of which only one is in use. */
export async function findNetworks(
  docker: Docker,
  installation: string,
  runner: string | undefined,
  abort: AbortSignal,
): Promise<ListedNetwork[]> {
  return listNetworks(docker, toLabelFilter(installation, runner), abort);
}

/** Removes all networks of that runner; resolves when none is left. */
export async function removeNetworks(
  docker: Docker,
  { installation, removalTimeoutMs = DETACH_TIMEOUT_MS }: { installation: string; removalTimeoutMs?: number },
  runner: string,
  abort: AbortSignal,
): Promise<void> {
  const doing = `removing network ${runner}`;
  const removal = {
    doing,
    timeoutMs: removalTimeoutMs,
    list: () => findNetworks(docker, installation, runner, abort),
    remove: async ({ Id: id }: ListedNetwork) => {
      const remove = (abortSignal: AbortSignal): Promise<void> => docker.getNetwork(id).remove({ abortSignal });
      // 404: it is gone. 409, or 403 for its endpoints: the engine has not yet detached the removed container.
      const isUnderWay = (status: number, text: string): boolean =>
        status === 404 || status === 409 || (status === 403 && /endpoint/i.test(text));
      return callEngineUnless(doing, abort, isUnderWay, remove);
    },
  };
  await removeAll(removal, abort);
}
