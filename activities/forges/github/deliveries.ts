import { z } from 'zod';
import type {
  CallOptions,
  ForgeScope,
  HookOwner,
  Redelivery,
  RedeliveryOrder,
} from '../../../contracts/ports/forge.ts';
import type { GithubClient } from './client.ts';
import { toGithubError, getGithubStatus } from './errors.ts';
import { readPages } from './pages.ts';
import { toScopeName, toScopePath } from './paths.ts';

const hookList = z.array(
  z.object({
    id: z.number(),
    active: z.boolean(),
    events: z.array(z.string()),
    config: z.object({ url: z.string().optional() }),
  }),
);
const deliveryList = z.array(
  z.object({
    id: z.number(),
    guid: z.string(),
    delivered_at: z.string(),
    status_code: z.number(),
    event: z.string(),
  }),
);

/** GitHub cancels jobs that wait longer than this: their webhooks need no redelivery. */
const MAX_AGE_MS = 24 * 3_600_000;

/**
 * Has GitHub redeliver webhooks of which no attempt arrived. Baton ignores duplicates: an attempt has the same GUID.
 *
 * @throws BatonError FORGE_*
 * @see https://docs.github.com/en/webhooks/using-webhooks/automatically-redelivering-failed-deliveries-for-a-github-app-webhook
 */
export async function redeliver(
  client: GithubClient,
  order: RedeliveryOrder,
  { signal }: CallOptions = {},
): Promise<Redelivery> {
  const doing = `looking for failed webhooks of ${toOwnerName(order.hook)}`;
  try {
    const { path, note } = await findDeliveriesPath(client, order, signal);
    if (path === undefined) return { again: [], notes: note === undefined ? [] : [note] };
    const lost = await listFailedSince(client, path, order, signal);
    const again: [string, number][] = [];
    for (const { guid, id, first } of lost) {
      if (Date.now() - first > MAX_AGE_MS) continue;
      if (await redeliverOne(client, path, id, signal)) again.push([guid, first]);
    }
    return { again, notes: [] };
  } catch (error) {
    throw toGithubError(doing, error);
  }
}

interface FailedDelivery {
  guid: string;
  /** The id of the newest attempt. */
  id: number;
  /** When the first attempt was made, milliseconds since the epoch. */
  first: number;
}

/** GitHub lists the newest delivery first. Deliveries with the same GUID are attempts at the same webhook. */
async function listFailedSince(
  client: GithubClient,
  path: string,
  { since, failing }: RedeliveryOrder,
  signal: AbortSignal | undefined,
): Promise<FailedDelivery[]> {
  const arrived = new Set<string>();
  const lost = new Map<string, FailedDelivery>();
  pages: for await (const page of readPages(client, `GET ${path}`, {}, signal)) {
    for (const { id, guid, delivered_at, status_code: status, event } of deliveryList.parse(page)) {
      const at = Date.parse(delivered_at);
      if (at < since) break pages;
      if (event !== 'workflow_job') continue;
      if (status >= 200 && status < 300) arrived.add(guid);
      const known = lost.get(guid);
      lost.set(guid, { guid, id: known?.id ?? id, first: failing.get(guid) ?? at });
    }
  }
  return [...lost.values()].filter(({ guid }) => !arrived.has(guid));
}

/** False where GitHub no longer has the delivery. */
async function redeliverOne(
  client: GithubClient,
  path: string,
  id: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    await client.request(`POST ${path}/{delivery_id}/attempts`, { delivery_id: id, request: { signal } });
    return true;
  } catch (error) {
    if (getGithubStatus(error) === 404 || getGithubStatus(error) === 422) return false;
    throw error;
  }
}

/** The API's path of the deliveries of Baton's webhook; no path where there is no such webhook. */
async function findDeliveriesPath(
  client: GithubClient,
  { hook, url }: RedeliveryOrder,
  signal: AbortSignal | undefined,
): Promise<{ path?: string; note?: string }> {
  // An App has one webhook.
  if (hook.kind === 'app') return { path: '/app/hook/deliveries' };
  const owner = toScopePath(toScope(hook));
  const hooks: z.infer<typeof hookList> = [];
  for await (const page of readPages(client, `GET ${owner}/hooks`, {}, signal)) hooks.push(...hookList.parse(page));
  const jobHooks = hooks.filter(
    ({ active, events }) => active && events.some((event) => event === '*' || event === 'workflow_job'),
  );
  const ours = url === undefined ? jobHooks : jobHooks.filter(({ config }) => config.url === url);
  const [one, another] = ours;
  if (one === undefined) return {};
  if (another !== undefined) {
    return { note: `${toOwnerName(hook)} has several webhooks for jobs: set webhook.url to identify Baton’s` };
  }
  return { path: `${owner}/hooks/${one.id}/deliveries` };
}

function toOwnerName(hook: HookOwner): string {
  return hook.kind === 'app' ? 'the App' : toScopeName(toScope(hook));
}

function toScope({ kind, organization, repository }: Exclude<HookOwner, { kind: 'app' }>): ForgeScope {
  return kind === 'organization' ? { organization } : { organization, repository };
}
