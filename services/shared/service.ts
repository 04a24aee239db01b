import { parseArgs } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Config } from '../../contracts/config/config.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import { examineSecrets } from '../../contracts/lib/examine-secrets.ts';
import { isLoopback } from '../../contracts/lib/loopback.ts';
import { readSecret } from '../../contracts/lib/read-secret.ts';
import { createLogger, type Logger } from '../../contracts/lib/log.ts';
import { createAdminServer } from './admin-server.ts';
import { CredentialExpiry } from './credential-expiry.ts';
import { findCredentialsFile } from './nats-link.ts';
import { LiveConfig } from './live-config.ts';
import { openTraces } from './tracing/open-traces.ts';
import type { Traces } from './tracing/span.ts';

/** What every service gets from {@link runService}. */
export interface ServiceContext {
  /** The configuration as it was at the start. */
  config: Config;
  /** The current configuration: read again on SIGHUP and `baton apply`. */
  live: LiveConfig;
  log: Logger;
  metrics: Registry;
  /** Undefined where tracing is off. */
  traces: Traces | undefined;
  /** The HTTP server for operators, with routes for health and metrics. Add routes before the start function resolves. */
  admin: FastifyInstance;
  /** Fires on SIGTERM and SIGINT: accept no new work, finish the current work, then let `run` resolve. */
  stop: AbortSignal;
  /** Positional arguments after the service's name, e.g. the backend's name. */
  args: string[];
}

/** A started service. */
export interface Service {
  /** The HTTP server for everybody else, at `--host` and `--port`; only with the option `isPublic`. */
  http?: FastifyInstance;
  /** Whether the service can work now; where this is false or throws, `/readyz` answers 503. */
  ready(): Promise<boolean>;
  /** Resolves when the service has stopped, after `stop` fired; rejects when the service cannot continue. */
  run(): Promise<void>;
}

/**
 * Runs a service as this process:
 * - configuration from `--config FILE` or BATON_CONFIG (default baton.yaml), read again on SIGHUP
 * - JSON log, with the line `ready` and the field `adminAddress` when the service has started; with `isPublic`, also `address`
 * - HTTP server for operators on `--admin-host` (default 127.0.0.1) and `--admin-port` (default 0: any free port), with
 *   `/healthz`, `/readyz` and `/metrics`
 * - with `isPublic`, another one on `--host` (default 127.0.0.1) and `--port` (default 0), which shows nothing of that
 * - graceful stop on SIGTERM and SIGINT; a second signal ends the process at once
 *
 * Exits with 0 after a graceful stop, with 1 after an error.
 */
export async function runService(
  name: string,
  start: (context: ServiceContext) => Promise<Service>,
  { isPublic = false }: { isPublic?: boolean } = {},
): Promise<void> {
  const log = createLogger(name);
  const controller = new AbortController();
  let service: Service | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(1);
      log.info({ signal }, 'stopping');
      controller.abort();
      // Still starting: there is no work to finish.
      if (service === undefined) process.exit(0);
    });
  }
  try {
    const { values, positionals } = parseServiceArguments(isPublic);
    const live = new LiveConfig(values.config);
    for (const warning of examineSecrets(live.current)) log.warn(warning);
    process.on('SIGHUP', () => {
      live.reload().then(
        (result) => log.info(result, 'configuration read again'),
        (error: unknown) => log.error({ err: error }, `configuration not changed: ${getErrorMessage(error)}`),
      );
    });
    const metrics = new Registry();
    metrics.setDefaultLabels({ service: name });
    collectDefaultMetrics({ register: metrics });
    const traces = await openTraces(name, live.current.name, log);
    const isReady = async (): Promise<boolean> =>
      service !== undefined && !controller.signal.aborted && (await service.ready().catch(() => false));
    const { admin: access, ingress } = live.current;
    const adminHost = values['admin-host'];
    const isGuarded = (isPublic ? access.password_hash : access.metrics_token) !== undefined;
    if (!isLoopback(adminHost) && !isGuarded) {
      const key = isPublic ? 'admin.password_hash' : 'admin.metrics_token';
      log.warn({ adminHost }, `whoever reaches the admin port sees its pages: no ${key} is configured`);
    }
    const expiry = new CredentialExpiry({ file: findCredentialsFile(live.current.nats), log, metrics });
    expiry.watch(controller.signal);
    const admin = createAdminServer({
      isReady,
      getNotice: () => live.notice,
      getCredentialNotice: () => expiry.notice,
      metrics,
      trustedProxies: ingress.trusted_proxies,
      metricsToken: access.metrics_token && readSecret(access.metrics_token),
      // With a login or a token, another page gets nothing; where others can reach the port, a name says nothing.
      hosts: isLoopback(adminHost) && !isGuarded ? access.hosts : undefined,
    });
    service = await start({
      config: live.current,
      live,
      log,
      metrics,
      traces,
      admin,
      stop: controller.signal,
      args: positionals,
    });
    const { http } = service;
    const servers = http === undefined ? [admin] : [http, admin];
    for (const server of servers) closeConnectionsOn(controller.signal, server);
    const adminAddress = await admin.listen({ host: adminHost, port: Number(values['admin-port']) });
    const address = await http?.listen({ host: values.host, port: Number(values.port) });
    log.info({ address, adminAddress }, 'ready');
    await service.run();
    // The public one first: probes still get their answers while its last requests end.
    for (const server of servers) await server.close();
    await traces
      ?.close()
      .catch((error: unknown) => log.warn({ reason: getErrorMessage(error) }, 'sending the last traces failed'));
    log.info('stopped');
    process.exit(0);
  } catch (error) {
    const details = error instanceof BatonError ? { code: error.code, help: error.help } : {};
    log.fatal({ ...details, err: error }, getErrorMessage(error));
    process.exit(1);
  }
}

/** @throws TypeError for `--host` or `--port` where the service has no public server: somebody expects it to be reachable there */
function parseServiceArguments(isPublic: boolean) {
  const address = { type: 'string', default: '127.0.0.1' } as const;
  const port = { type: 'string', default: '0' } as const;
  const common = {
    config: { type: 'string', default: process.env['BATON_CONFIG'] ?? 'baton.yaml' },
    'admin-host': address,
    'admin-port': port,
  } as const;
  if (isPublic) return parseArgs({ allowPositionals: true, options: { ...common, host: address, port } });
  const { values, positionals } = parseArgs({ allowPositionals: true, options: common });
  return { values: { ...values, host: address.default, port: port.default }, positionals };
}

/** `forceCloseConnections: 'idle'` misses a connection that has a request when the server begins to close. */
function closeConnectionsOn(stop: AbortSignal, server: FastifyInstance): void {
  server.addHook('onSend', async (_request, reply) => {
    if (stop.aborted) reply.header('connection', 'close');
  });
}
