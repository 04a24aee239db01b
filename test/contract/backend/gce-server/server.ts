import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { Cloud, type CloudOptions, type Operation } from './cloud.ts';
import { GceApiError, forbidden, gceInvalid, gceNotFound, unauthenticated } from './errors.ts';
import { parseFilter } from './filter.ts';
import { MetadataService } from './metadata.ts';
import { toPermissions } from './permissions.ts';
import { checkMessage, checkRequest, listMethods, type Method } from './schema.ts';

const INSTANCE_FIELDS = ['name', 'labels', 'status', 'zone', 'machineType', 'creationTimestamp'];
const OPERATION_FIELDS = ['name', 'operationType', 'status', 'targetLink', 'clientOperationId', 'user'];
const MAX_PAGE_SIZE = 500;
/** How long a wait is held open. Google's server: two minutes. */
const WAIT_TIMEOUT_MS = 5000;

export interface GceServer {
  /** `http://127.0.0.1:port`, as the backend's `endpoint`. */
  readonly address: string;
  /** The value for GCE_METADATA_HOST. */
  readonly metadataHost: string;
  readonly cloud: Cloud;
  readonly metadata: MetadataService;
  /** The permissions that the calls so far needed. */
  readonly permissions: Set<string>;
  close(): Promise<void>;
}

/**
 * Serves Compute Engine's API v1 over HTTP by its published schema: it refuses what the schema does not allow, and
 * checks its own answers too. Operations are asynchronous, lists have pages.
 *
 * @param options.role the permissions that the caller has; default: all
 */
export async function startGceServer(options: CloudOptions & { role?: readonly string[] }): Promise<GceServer> {
  const cloud = new Cloud(options);
  const metadata = new MetadataService(options.project);
  const permissions = new Set<string>();
  const methods = listMethods(['Instances', 'ZoneOperations']);
  const role = options.role && new Set(options.role);

  async function answer(request: IncomingMessage): Promise<string> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const content = await text(request);
    if (!metadata.accepts(request.headers.authorization)) throw unauthenticated();
    const [method, path] = findMethod(methods, request.method ?? '', url.pathname);
    const parameters = { ...path, ...Object.fromEntries(url.searchParams) };
    // Google's library sends an empty text where a method has no body.
    const body = content === '' || content === '""' ? undefined : parseJson(content);
    const violation = checkRequest(method, parameters, body);
    if (violation) throw new GceApiError(400, violation.reason, violation.message);
    if (parameters['project'] !== options.project) throw gceNotFound(`projects/${parameters['project']}`);
    for (const permission of toPermissions(method.name, body)) {
      permissions.add(permission);
      if (role && !role.has(permission)) throw forbidden(permission, `projects/${options.project}`);
    }
    const result = await call(cloud, method, parameters, body);
    const wrong = checkMessage(method.response, result, method.response.name);
    if (wrong) throw new Error(`the server's own answer violates the schema: ${wrong.message}`);
    return JSON.stringify(result);
  }

  function handle(request: IncomingMessage, response: ServerResponse): void {
    if (request.url === '/' || request.url?.startsWith('/computeMetadata/')) {
      const found = request.headers['metadata-flavor'] === 'Google' ? metadata.answer(request.url) : undefined;
      response.writeHead(found ? 200 : 404, {
        'metadata-flavor': 'Google',
        'content-type': found?.type ?? 'text/plain',
      });
      response.end(found?.body ?? 'not found');
      return;
    }
    answer(request).then(
      (body) => response.writeHead(200, { 'content-type': 'application/json; charset=UTF-8' }).end(body),
      (error: unknown) => {
        const failure = error instanceof GceApiError ? error : new GceApiError(500, 'backendError', String(error));
        response.writeHead(failure.status, { 'content-type': 'application/json; charset=UTF-8' }).end(failure.body());
      },
    );
  }

  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return {
    address: `http://127.0.0.1:${port}`,
    metadataHost: `127.0.0.1:${port}`,
    cloud,
    metadata,
    permissions,
    close: async () => {
      cloud.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function findMethod(methods: Method[], verb: string, path: string): [Method, Record<string, string>] {
  for (const method of methods) {
    const match = method.verb === verb ? method.path.exec(path) : null;
    if (match) return [method, { ...match.groups }];
  }
  throw gceNotFound(path);
}

async function call(
  cloud: Cloud,
  method: Method,
  parameters: Record<string, string>,
  body: unknown,
): Promise<Record<string, unknown>> {
  const { zone = '', instance = '', operation = '', requestId } = parameters;
  switch (method.name) {
    case 'Instances.Insert':
      return { ...cloud.insert(zone, body, requestId).resource };
    case 'Instances.Delete':
      return { ...cloud.delete(zone, instance, requestId).resource };
    case 'Instances.SetLabels':
      return { ...cloud.setLabels(zone, instance, body, requestId).resource };
    case 'Instances.Get':
      cloud.requireZone(zone);
      return cloud.get(zone, instance).resource;
    case 'Instances.AggregatedList':
      return aggregatedList(cloud, parameters);
    case 'ZoneOperations.Get':
      return cloud.operation(zone, operation).resource;
    case 'ZoneOperations.Wait':
      return wait(cloud.operation(zone, operation));
    case 'ZoneOperations.List': {
      cloud.requireZone(zone);
      const fits = parameters['filter'] ? parseFilter(parameters['filter'], OPERATION_FIELDS) : () => true;
      const found = cloud.operations.filter((one) => one.zone === zone && fits(one.resource));
      const { items, next } = page(found, parameters);
      const id = `projects/${cloud.options.project}/zones/${zone}/operations`;
      return { kind: 'compute#operationList', id, items: items.map(({ resource }) => resource), ...next };
    }
    default:
      throw new GceApiError(501, 'notImplemented', `${method.name} is not supported`);
  }
}

async function wait(operation: Operation): Promise<Record<string, unknown>> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, WAIT_TIMEOUT_MS)));
  await Promise.race([operation.done, timeout]);
  clearTimeout(timer);
  return operation.resource;
}

function aggregatedList(cloud: Cloud, parameters: Record<string, string>): Record<string, unknown> {
  const fits = parameters['filter'] ? parseFilter(parameters['filter'], INSTANCE_FIELDS) : () => true;
  const now = Date.now();
  const found = [...cloud.machines.values()].filter((one) => one.listedFrom <= now && fits(one.resource));
  const { items, next } = page(found, parameters);
  const scopes = cloud.options.zones.map((zone) => {
    const instances = items.filter((machine) => machine.zone === zone).map(({ resource }) => resource);
    const warning = {
      code: 'NO_RESULTS_ON_PAGE',
      message: `There are no results for scope 'zones/${zone}' on this page.`,
    };
    return [`zones/${zone}`, instances.length === 0 ? { warning } : { instances }];
  });
  const id = `projects/${cloud.options.project}/aggregated/instances`;
  return { kind: 'compute#instanceAggregatedList', id, items: Object.fromEntries(scopes), ...next };
}

function page<T>(all: T[], parameters: Record<string, string>): { items: T[]; next: { nextPageToken?: string } } {
  const size = Number(parameters['maxResults'] ?? MAX_PAGE_SIZE);
  if (size < 1 || size > MAX_PAGE_SIZE)
    throw gceInvalid(`Invalid value for field 'maxResults': '${size}'. Must be 1 to 500.`);
  const token = parameters['pageToken'] ?? '';
  const from = token === '' ? 0 : Number(Buffer.from(token, 'base64url').toString());
  if (!Number.isInteger(from)) throw gceInvalid(`Invalid value for field 'pageToken': '${token}'.`);
  const items = all.slice(from, from + size);
  const next =
    from + size < all.length ? { nextPageToken: Buffer.from(String(from + size)).toString('base64url') } : {};
  return { items, next };
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw new GceApiError(400, 'parseError', 'Parse Error');
  }
}
