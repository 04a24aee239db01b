import { join } from 'node:path';
import { fastify } from 'fastify';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import { createLogger } from '../../contracts/lib/log.ts';
import { writeHookFolder } from './hook-folder.ts';
import { registerProxyMetrics } from './metrics.ts';
import { readProxyOptions } from './options.ts';
import { ProxyRunner } from './proxy-runner.ts';

/**
 * Runs a proxy: `node services/proxy/main.ts --name NAME --url URL --labels A,B --orchestrator-url URL`, with its token
 * in RUNNER_TOKEN. At SIGTERM it finishes the current job, then ends. Exits with the exit code of the forge's runner,
 * or with 1 after an error.
 */
const log = createLogger('proxy');
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(1);
    log.info({ signal }, 'stopping after a signal');
    stop.abort();
  });
}
try {
  const options = readProxyOptions(process.argv.slice(2), process.env);
  const hooks = options.hooks ?? (await writeHookFolder(join(options.state, 'hooks')));
  const stateFile = join(options.state, `${options.name}.json`);
  const proxy = new ProxyRunner({ options, hooks, stateFile, log });
  const metrics = new Registry();
  metrics.setDefaultLabels({ service: 'proxy', proxy: options.name });
  collectDefaultMetrics({ register: metrics });
  registerProxyMetrics(metrics, proxy, stateFile);
  const http = fastify({ forceCloseConnections: true });
  http.get('/healthz', () => ({ status: 'ok' }));
  http.get('/readyz', (_request, reply) => {
    return reply.code(proxy.running ? 200 : 503).send({ status: proxy.running ? 'ready' : 'not ready' });
  });
  http.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
  await proxy.configure();
  const address = await http.listen({ host: options.host, port: options.port });
  log.info({ address, runner: options.name }, 'proxy is ready');
  const code = await proxy.run(stop.signal);
  await http.close();
  log.info('proxy stopped');
  process.exit(code);
} catch (error) {
  const details = error instanceof BatonError ? { code: error.code, help: error.help } : {};
  log.fatal({ ...details, err: error }, getErrorMessage(error));
  process.exit(1);
}
