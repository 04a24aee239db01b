import { z } from 'zod';
import type { HookOwner, Redelivery, RedeliveryOrder } from '../../../contracts/ports/forge.ts';
import type { GithubClient } from './client.ts';
import { toGithubError, getGithubStatus } from './errors.ts';
import { readPages } from './pages.ts';

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

/** A queued job dies after that: nobody needs to hear of it any more. */
const MAX_AGE_MS = 24 * 3_600_000;

/**
 * Has deliveries sent again of which no attempt arrived. Told of jobs twice, Baton takes them once (the GUID stays the
 * same).
 *
 * @throws BatonError FORGE_*
 * @see https://docs.github.com/en/webhooks/using-webhooks/automatically-redelivering-failed-deliveries-for-a-github-app-webhook
 */
export async function redeliver(client: GithubClient, order: RedeliveryOrder): Promise<Redelivery> {
  const doing = `looking for failed webhooks of ${toOwnerName(order.hook)}`;
  try {
    const { path, note } = await findDeliveriesPath(client, order);
    if (path === undefined) return { again: [], notes: note === undefined ? [] : [note] };
    const lost = await listFailedSince(client, path, order);
    const again: [string, number][] = [];
    for (const { guid, id, first } of lost) {
      if (Date.now() - first > MAX_AGE_MS) continue;
      if (await redeliverOne(client, path, id)) again.push([guid, first]);
    }
    return { again, notes: [] };
  } catch (error) {
    throw toGithubError(doing, error);
  }
}

interface FailedDelivery {
  guid: string;
  /** The newest attempt's. */
  id: number;
  first: number;
}

/** Newest first; deliveries of one GUID are attempts at the same webhook. */
async function listFailedSince(
  client: GithubClient,
  path: string,
  { since, failing }: RedeliveryOrder,
): Promise<FailedDelivery[]> {
  const arrived = new Set<string>();
  const lost = new Map<string, FailedDelivery>();
  pages: for await (const page of readPages(client, `GET ${path}`)) {
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

/** False where the forge has forgotten it: then there is nothing to send. */
async function redeliverOne(client: GithubClient, path: string, id: number): Promise<boolean> {
  try {
    await client.request(`POST ${path}/{delivery_id}/attempts`, { delivery_id: id });
    return true;
  } catch (error) {
    if (getGithubStatus(error) === 404 || getGithubStatus(error) === 422) return false;
    throw error;
  }
}

/** Where the deliveries of our webhook are; undefined where there is none of ours. */
async function findDeliveriesPath(
  client: GithubClient,
  { hook, url }: RedeliveryOrder,
): Promise<{ path?: string; note?: string }> {
  // An App has one webhook, which is its own.
  if (hook.kind === 'app') return { path: '/app/hook/deliveries' };
  const owner = hook.kind === 'organization' ? `/orgs/${enc(hook.organization)}` : `/repos/${toOwnerPath(hook)}`;
  const hooks: z.infer<typeof hookList> = [];
  for await (const page of readPages(client, `GET ${owner}/hooks`)) hooks.push(...hookList.parse(page));
  const telling = hooks.filter(
    ({ active, events }) => active && events.some((event) => event === '*' || event === 'workflow_job'),
  );
  const ours = url === undefined ? telling : telling.filter(({ config }) => config.url === url);
  const [one, another] = ours;
  if (one === undefined) return {};
  if (another !== undefined) {
    return { note: `${toOwnerName(hook)} has several webhooks for jobs: set webhook.url, so that ours can be told` };
  }
  return { path: `${owner}/hooks/${one.id}/deliveries` };
}

function toOwnerName(hook: HookOwner): string {
  if (hook.kind === 'app') return 'the App';
  return hook.kind === 'organization' ? hook.organization : `${hook.organization}/${hook.repository ?? ''}`;
}

function toOwnerPath(hook: { organization: string; repository?: string | undefined }): string {
  return `${enc(hook.organization)}/${enc(hook.repository ?? '')}`;
}

const enc = encodeURIComponent;
