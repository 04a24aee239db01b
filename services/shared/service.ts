import { parseArgs } from 'node:util';
import { fastify, type FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Config } from '../../contracts/config/config.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import { examineSecrets } from '../../contracts/lib/examine-secrets.ts';
import { createLogger, type Logger } from '../../contracts/lib/log.ts';
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
  /** The service's HTTP server, with routes for health and metrics. Add routes before the start function resolves. */
  http: FastifyInstance;
  /** Fires on SIGTERM and SIGINT: accept no new work, finish the current work, then let `run` resolve. */
  stop: AbortSignal;
  /** Positional arguments after the service's name, e.g. the backend's name. */
  args: string[];
}

/** A started service. */
export interface Service {
  /** Whether the service can work now; where this is false or throws, `/readyz` answers 503. */
  ready(): Promise<boolean>;
  /** Resolves when the service has stopped, after `stop` fired; rejects when the service cannot continue. */
  run(): Promise<void>;
}

/**
 * Runs a service as this process:
 * - configuration from `--config FILE` or BATON_CONFIG (default baton.yaml), read again on SIGHUP
 * - JSON log, with the line `ready` and the field `address` when the service has started
 * - HTTP server on `--host` (default 127.0.0.1) and `--port` (default 0: any free port), with `/healthz`, `/readyz` and `/metrics`
 * - graceful stop on SIGTERM and SIGINT; a second signal ends the process at once
 *
 * Exits with 0 after a graceful stop, with 1 after an error.
 */
export async function runService(name: string, start: (context: ServiceContext) => Promise<Service>): Promise<void> {
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
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        config: { type: 'string', default: process.env['BATON_CONFIG'] ?? 'baton.yaml' },
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '0' },
      },
    });
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
    const http = fastify({ bodyLimit: 25 * 1024 ** 2, forceCloseConnections: 'idle' });
    // `forceCloseConnections: 'idle'` misses a connection that has a request when the server begins to close.
    http.addHook('onSend', async (_request, reply) => {
      if (controller.signal.aborted) reply.header('connection', 'close');
    });
    http.get('/healthz', () => ({ status: 'ok' }));
    http.get('/readyz', async (_request, reply) => {
      const ready = service !== undefined && !controller.signal.aborted && (await service.ready().catch(() => false));
      return reply.code(ready ? 200 : 503).send({
        status: ready ? 'ready' : 'not ready',
        ...(live.notice === null ? {} : { configuration: live.notice }),
      });
    });
    http.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
    service = await start({
      config: live.current,
      live,
      log,
      metrics,
      traces,
      http,
      stop: controller.signal,
      args: positionals,
    });
    const address = await http.listen({ host: values.host, port: Number(values.port) });
    log.info({ address }, 'ready');
    await service.run();
    await http.close();
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
