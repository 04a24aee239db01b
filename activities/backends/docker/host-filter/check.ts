import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { z } from 'zod';
import { BatonError } from '../../../../contracts/errors.ts';
import { listContainers, listNetworks, removeContainer } from '../answers.ts';
import { callEngine, callEngineExpecting, callEngineUnless } from '../engine.ts';
import { createFreeNetwork } from '../network.ts';
import { removeAll } from '../remove-all.ts';
import { FILTER_LABEL, readFirstLine, startFilterProgram, toFilterOptions } from './containers.ts';
import { toFilterNames } from './rules.ts';

/** How often a worker asks whether another one's check has ended. */
const TURN_INTERVAL_MS = 500;
/** One that lasts longer was left by a worker that ended: the container itself ends earlier. */
const ABANDONED_MS = 60_000;
const REMOVAL_TIMEOUT_MS = 30_000;

const filterLine = z.union([
  z.object({ problem: z.string() }),
  z.object({
    blockedPort: z.number(),
    openPort: z.number(),
    addresses: z.array(z.string()),
    /** Packets that the rules have dropped since the last check. */
    dropped: z.number(),
    wasMissing: z.boolean(),
    unresolved: z.array(z.string()),
    ipv6Problem: z.string(),
  }),
]);
const probeLine = z.object({ control: z.boolean(), reached: z.array(z.string()), hasIpv6: z.boolean() });

export interface FilterResult {
  /** Packets that the rules have dropped since the last check. */
  dropped: number;
  /** Whether the rules had to be made. */
  wasMissing: boolean;
  /** Allowed hosts without an address. */
  unresolved: string[];
}

export interface FilterOrder {
  installation: string;
  key: string;
  /** Different for each check. */
  id: string;
  image: string;
  pool: string;
  /** `host:port` each. */
  allowed: readonly string[];
}

const failed = (message: string): BatonError =>
  new BatonError('HOST_FILTER_FAILED', `verifying the packet filter of the host: ${message}`);

/**
 * Makes the filter on the engine's machine and proves it from inside. Workers take turns: the container's name is the lock.
 *
 * @throws BatonError HOST_FILTER_FAILED; as {@link callEngine}
 */
export async function checkFilter(docker: Docker, order: FilterOrder, abort: AbortSignal): Promise<FilterResult> {
  const { installation, key, image } = order;
  const { chain, bridgePrefix } = toFilterNames(key);
  const doing = 'making the packet filter of the host';
  const filter = await takeTurn(docker, doing, abort, () =>
    docker.createContainer(
      toFilterOptions({
        name: `baton-filter-${key}`,
        installation,
        image,
        program: 'filter-program.ts',
        env: {
          BATON_FILTER_CHAIN: chain,
          BATON_FILTER_BRIDGE_PREFIX: bridgePrefix,
          BATON_FILTER_POOL: order.pool,
          BATON_FILTER_ALLOWED: order.allowed.join(','),
        },
        network: 'host',
        capabilities: ['NET_ADMIN', 'NET_RAW'],
        user: '0:0',
      }),
    ),
  );
  try {
    await removeProbes(docker, installation, key);
    const labels = { [FILTER_LABEL]: installation, [`${FILTER_LABEL}.key`]: key };
    const network = await createFreeNetwork(
      docker,
      { name: `baton-probe-${order.id}`, labels, pool: order.pool, bridgePrefix },
      abort,
    );
    // Begun before the start, so that no end is missed.
    const ended = callEngine(doing, abort, () => filter.wait({ condition: 'next-exit' }), 'retry');
    ended.catch(() => undefined);
    await startFilterProgram(filter, doing, abort);
    const made = parseLine(filterLine, await readFirstLine(docker, filter, doing, abort));
    if ('problem' in made) throw new BatonError('HOST_FILTER_FAILED', `${doing}: ${made.problem}`);
    const probe = await runProbe(docker, { ...order, network, made }, abort);
    await callEngineExpecting(doing, abort, [404, 409], () => filter.kill({ signal: 'SIGTERM' }), 'retry');
    const { StatusCode: code } = z.object({ StatusCode: z.number() }).parse(await ended);
    if (code !== 0) throw failed(`the rules could not be completed: exit code ${code}`);
    requireHeld(probe, made.ipv6Problem);
    return made;
  } finally {
    await removeProbes(docker, installation, key).catch(() => undefined);
    // The last step: it ends the turn.
    await remove(docker, filter.id).catch(() => undefined);
  }
}

function requireHeld({ control, reached, hasIpv6 }: z.infer<typeof probeLine>, ipv6Problem: string): void {
  if (reached.length > 0) throw failed(`a container like a runner’s still reaches ${reached.join(', ')}`);
  if (!control) {
    throw failed(
      'a container like a runner’s does not even reach the port that is open to it, so that nothing is proven',
    );
  }
  if (hasIpv6 && ipv6Problem !== '') throw failed(`containers have IPv6, which cannot be filtered: ${ipv6Problem}`);
}

async function runProbe(
  docker: Docker,
  order: FilterOrder & { network: string; made: { blockedPort: number; openPort: number; addresses: string[] } },
  abort: AbortSignal,
): Promise<z.infer<typeof probeLine>> {
  const doing = 'verifying the packet filter of the host';
  const { made, installation, image, network, key } = order;
  const options = toFilterOptions({
    name: `baton-probe-${order.id}`,
    installation,
    image,
    program: 'probe-program.ts',
    env: {
      BATON_PROBE_OPEN_PORT: String(made.openPort),
      BATON_PROBE_BLOCKED_PORT: String(made.blockedPort),
      BATON_PROBE_ADDRESSES: made.addresses.join(','),
    },
    network,
    capabilities: [],
    user: '1001:1001',
  });
  const labels = { ...options.Labels, [`${FILTER_LABEL}.key`]: key };
  const create = (): Promise<Docker.Container> => docker.createContainer({ ...options, Labels: labels });
  const probe = await callEngine(doing, abort, create, 'retry');
  await startFilterProgram(probe, doing, abort);
  return parseLine(probeLine, await readFirstLine(docker, probe, doing, abort));
}

function parseLine<T>(schema: z.ZodType<T>, { line, errors }: { line: string | undefined; errors: string }): T {
  if (line === undefined) throw failed(`a container ended without a result: ${errors.trim().slice(-400)}`);
  return schema.parse(JSON.parse(line));
}

/** Creates the container, after the check of another worker has ended. */
async function takeTurn(
  docker: Docker,
  doing: string,
  abort: AbortSignal,
  create: () => Promise<Docker.Container>,
): Promise<Docker.Container> {
  let first = { id: '', at: performance.now() };
  for (;;) {
    let taken = '';
    const created = await callEngineExpecting(
      doing,
      abort,
      [409],
      async () => {
        try {
          return await create();
        } catch (error) {
          taken = /in use by container "?(\w+)"?/.exec(error instanceof Error ? error.message : '')?.[1] ?? '';
          throw error;
        }
      },
      'retry',
    );
    if (created !== 409) return created;
    // By this machine's clock alone: the engine's may differ.
    if (taken !== first.id) first = { id: taken, at: performance.now() };
    else if (taken !== '' && performance.now() - first.at > ABANDONED_MS) await remove(docker, taken);
    await sleep(TURN_INTERVAL_MS, undefined, { signal: abort });
  }
}

/** Removes what checks of this filter, also interrupted ones, created on the runners' side; resolves when all is gone. */
async function removeProbes(docker: Docker, installation: string, key: string): Promise<void> {
  const abort = AbortSignal.timeout(REMOVAL_TIMEOUT_MS);
  const filters = { label: [`${FILTER_LABEL}=${installation}`, `${FILTER_LABEL}.key=${key}`] };
  const common = { doing: 'removing a probe of the packet filter', timeoutMs: REMOVAL_TIMEOUT_MS };
  await removeAll(
    { ...common, list: () => listContainers(docker, filters, abort), remove: ({ Id: id }) => remove(docker, id) },
    abort,
  );
  // 403: its container is not detached yet.
  const isUnderWay = (status: number): boolean => status === 404 || status === 409 || status === 403;
  await removeAll(
    {
      ...common,
      list: () => listNetworks(docker, filters, abort),
      remove: ({ Id: id }) => callEngineUnless(common.doing, abort, isUnderWay, () => docker.getNetwork(id).remove()),
    },
    abort,
  );
}

function remove(docker: Docker, id: string): Promise<string | undefined> {
  const abort = AbortSignal.timeout(REMOVAL_TIMEOUT_MS);
  return removeContainer(docker, id, 'removing a container of the packet filter', abort);
}
