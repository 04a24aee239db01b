import type { Delivery, Hook } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import type { Schemas } from './account.ts';
import { isoTime } from './account.ts';

export function hookShape(sim: Simulation, hook: Hook): Schemas['hook'] {
  const owner = hook.kind === 'organization' ? `orgs/${hook.target}` : `repos/${hook.target}`;
  const url = `${sim.urls.api}/${owner}/hooks/${hook.id}`;
  return {
    type: hook.kind === 'organization' ? 'Organization' : 'Repository',
    id: hook.id,
    name: 'web',
    active: hook.active,
    events: hook.events,
    config: {
      url: hook.url,
      content_type: hook.contentType,
      insecure_ssl: '0',
      ...(hook.secret === null ? {} : { secret: '********' }),
    },
    created_at: isoTime(hook.createdAt),
    updated_at: isoTime(hook.createdAt),
    url,
    test_url: `${url}/test`,
    ping_url: `${url}/pings`,
    deliveries_url: `${url}/deliveries`,
    last_response: lastResponse(sim, hook),
  };
}

function lastResponse(sim: Simulation, hook: Hook): Schemas['hook-response'] {
  const last = [...sim.state.deliveries.values()].findLast((delivery) => delivery.hook === hook);
  if (!last) return { code: null, status: 'unused', message: null };
  return { code: last.statusCode, status: last.statusCode < 300 ? 'active' : 'failed', message: last.status };
}

export function deliveryItem(delivery: Delivery): Schemas['hook-delivery-item'] {
  return {
    id: delivery.id,
    guid: delivery.guid,
    delivered_at: new Date(delivery.deliveredAt).toISOString(),
    redelivery: delivery.redelivery,
    duration: delivery.duration,
    status: delivery.status,
    status_code: delivery.statusCode,
    event: delivery.event,
    action: delivery.action,
    installation_id: delivery.installationId,
    repository_id: delivery.repositoryId,
    throttled_at: null,
  };
}

export function deliveryShape(delivery: Delivery): Schemas['hook-delivery'] {
  return {
    ...deliveryItem(delivery),
    id: delivery.id,
    installation_id: delivery.installationId,
    repository_id: delivery.repositoryId,
    url: delivery.hook.url,
    request: { headers: delivery.requestHeaders, payload: { ...delivery.payload } },
    response: { headers: delivery.responseHeaders, payload: delivery.responseBody },
  };
}
