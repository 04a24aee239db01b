import type { WebhookDelivery, Hook } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { type Schemas, toIsoSeconds } from './account.ts';

export function toHookShape(sim: Simulation, hook: Hook): Schemas['hook'] {
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
    created_at: toIsoSeconds(hook.createdAt),
    updated_at: toIsoSeconds(hook.createdAt),
    url,
    test_url: `${url}/test`,
    ping_url: `${url}/pings`,
    deliveries_url: `${url}/deliveries`,
    last_response: findLastResponse(sim, hook),
  };
}

function findLastResponse(sim: Simulation, hook: Hook): Schemas['hook-response'] {
  const last = [...sim.state.deliveries.values()].findLast((delivery) => delivery.hook === hook);
  if (!last) return { code: null, status: 'unused', message: null };
  return { code: last.statusCode, status: last.statusCode < 300 ? 'active' : 'failed', message: last.status };
}

export function toDeliveryItem(delivery: WebhookDelivery): Schemas['hook-delivery-item'] {
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

export function toDeliveryShape(delivery: WebhookDelivery): Schemas['hook-delivery'] {
  return {
    ...toDeliveryItem(delivery),
    id: delivery.id,
    installation_id: delivery.installationId,
    repository_id: delivery.repositoryId,
    url: delivery.hook.url,
    request: { headers: delivery.requestHeaders, payload: { ...delivery.payload } },
    response: { headers: delivery.responseHeaders, payload: delivery.responseBody },
  };
}
