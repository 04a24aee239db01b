import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { z } from 'zod';
import { temporaryFolder } from '../../support/cleanup.ts';
import { makeCertificate } from './certificate.ts';

const NAMESPACE = 'ci';

const dnsName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
const key = z
  .string()
  .max(253)
  .regex(/^[-._a-zA-Z0-9]+$/);

/** What the API server accepts for a new ConfigMap. It refuses unknown fields, as with `fieldValidation=Strict`. */
const newConfigMap = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('ConfigMap'),
  metadata: z.strictObject({ name: dnsName, namespace: z.literal(NAMESPACE).optional() }),
  data: z.record(key, z.string()).default({}),
});

/** A merge patch (RFC 7386) of a ConfigMap: null removes a key. */
const patch = z.strictObject({ data: z.record(key, z.string().nullable()) });

interface ConfigMap {
  name: string;
  data: Record<string, string>;
  version: number;
}

type Fault = 'none' | 'unavailable' | 'throttled' | 'reset' | 'forbidden' | 'created-meanwhile';

/**
 * The ConfigMaps of an API server over TLS. It checks requests by the API's rules (method, media type, shape, names,
 * bearer token), and its answers have the shapes of the real one. Source: the Kubernetes API reference, ConfigMap v1,
 * and `Status`.
 */
export interface FakeKubernetes {
  /** A pod's environment variables, with the folder of its service account. */
  env: Record<string, string>;
  /** All requests so far, `PATCH /api/… 200`. */
  requests: string[];
  /** Faults of the next requests. */
  faults: Fault[];
  maps: Map<string, ConfigMap>;
  /** Resolves when a client has refused its certificate. */
  refused: Promise<void>;
  /** The values that `status` of that ConfigMap has had. */
  findStatuses(name: string): unknown[];
  close(): Promise<void>;
}

export async function startKubernetes(): Promise<FakeKubernetes> {
  const { path: folder, remove } = temporaryFolder('kubernetes');
  const certificate = makeCertificate(folder);
  const account = join(folder, 'serviceaccount');
  const token = randomUUID();
  mkdirSync(account);
  writeFileSync(join(account, 'token'), `${token}\n`, { mode: 0o600 });
  writeFileSync(join(account, 'ca.crt'), certificate.cert);
  const maps = new Map<string, ConfigMap>();
  const requests: string[] = [];
  const faults: Fault[] = [];
  const statuses = new Map<string, unknown[]>();

  const store = (name: string, changes: Record<string, string | null>): ConfigMap => {
    const map = maps.get(name) ?? { name, data: {}, version: 0 };
    for (const [field, value] of Object.entries(changes)) {
      if (value === null) delete map.data[field];
      else map.data[field] = value;
    }
    map.version++;
    maps.set(name, map);
    if (typeof changes['status'] === 'string') {
      statuses.set(name, [...(statuses.get(name) ?? []), JSON.parse(changes['status'])]);
    }
    return map;
  };

  const answer = (request: IncomingMessage, body: string): { code: number; reason?: string; map?: ConfigMap } => {
    if (request.headers.authorization !== `Bearer ${token}`) return { code: 401, reason: 'Unauthorized' };
    const fault = faults.shift();
    if (fault === 'unavailable') return { code: 503, reason: 'ServiceUnavailable' };
    if (fault === 'throttled') return { code: 429, reason: 'TooManyRequests' };
    if (fault === 'forbidden') return { code: 403, reason: 'Forbidden' };
    const path = /^\/api\/v1\/namespaces\/([^/?]+)\/configmaps(?:\/([^/?]+))?$/.exec(request.url ?? '');
    if (path === null) return { code: 404, reason: 'NotFound' };
    const [, namespace, name] = path;
    const type = request.headers['content-type'];
    if (request.method === 'PATCH' && name !== undefined) {
      if (type !== 'application/merge-patch+json') return { code: 415, reason: 'UnsupportedMediaType' };
      const parsed = patch.safeParse(JSON.parse(body));
      if (!parsed.success) return { code: 422, reason: 'Invalid' };
      if (namespace !== NAMESPACE || !maps.has(name)) return { code: 404, reason: 'NotFound' };
      return { code: 200, map: store(name, parsed.data.data) };
    }
    if (request.method !== 'POST' || name !== undefined) return { code: 405, reason: 'MethodNotAllowed' };
    if (type !== 'application/json') return { code: 415, reason: 'UnsupportedMediaType' };
    const parsed = newConfigMap.safeParse(JSON.parse(body));
    if (!parsed.success) return { code: 422, reason: 'Invalid' };
    if (namespace !== NAMESPACE) return { code: 404, reason: 'NotFound' };
    if (fault === 'created-meanwhile') store(parsed.data.metadata.name, { other: 'kept' });
    if (maps.has(parsed.data.metadata.name)) return { code: 409, reason: 'AlreadyExists' };
    return { code: 201, map: store(parsed.data.metadata.name, parsed.data.data) };
  };

  const server = createServer(certificate, (request, response: ServerResponse) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (faults[0] === 'reset') {
        faults.shift();
        requests.push(`${request.method} ${request.url} reset`);
        request.socket.destroy();
        return;
      }
      const { code, reason, map } = answer(request, body);
      requests.push(`${request.method} ${request.url} ${code}`);
      const status = {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message: reason,
        reason,
        code,
      };
      const object = map && {
        kind: 'ConfigMap',
        apiVersion: 'v1',
        metadata: { name: map.name, namespace: NAMESPACE, resourceVersion: String(map.version) },
        data: map.data,
      };
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(object ?? status));
    });
  });
  const refused = new Promise<void>((resolve) => server.once('tlsClientError', () => resolve()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    env: {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(port),
      BATON_KUBERNETES_SERVICE_ACCOUNT: account,
      RUNNER_CONTEXT_PLATFORM_NAMESPACE: NAMESPACE,
      RUNNER_CONTEXT_PLATFORM_SERVICE_ACCOUNT_NAME: 'actions',
    },
    requests,
    faults,
    maps,
    refused,
    findStatuses: (name) => statuses.get(name) ?? [],
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      remove();
    },
  };
}
