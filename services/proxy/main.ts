import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fastify } from 'fastify';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import { acquireLock } from '../../contracts/lib/file-lock.mjs';
import { createLogger } from '../../contracts/lib/log.ts';
import { PROXY_ENV } from '../../contracts/messages/proxy-env.ts';
import { HandOverBreaker } from './breaker.ts';
import { HandOver } from './hand-over.ts';
import { writeHookFolder } from './hook-folder.ts';
import { registerProxyMetrics } from './metrics.ts';
import { readProxyOptions, type ProxyOptions, type ProxySecrets } from './options.ts';
import { OrchestratorClient } from './orchestrator-client.ts';
import { ProxyRunner } from './proxy-runner.ts';
import { createRunnerEnvironment } from './runner-environment.ts';
import { assertProtected, assertUnreadable } from './runner-folder.ts';
import { findRunnerUser, withoutNewPrivileges, type RunnerUser } from './runner-user.ts';
import { serveHookSocket } from './serve-hook-socket.ts';
import { createCredentialSource, createFixedSource, type TokenSource } from './token-source.ts';

/**
 * Runs a proxy: `node services/proxy/main.ts --name NAME --url URL --labels A,B --orchestrator-url URL`, as root, with its
 * credential in a file; the forge's runner and its jobs run as another user, which cannot read it. At SIGTERM it finishes the current job, then ends. Exits with the exit code of the forge's runner,
 * or with 1 after an error.
 */
const REQUEST_TIMEOUT_MS = 10_000;
const BREAKER_PAUSE_MS = 30_000;
const EXPIRY_WARNING_DAYS = 30;
/** Only root writes there; it is empty after a start of the machine. */
const LOCKS = '/run';

const parsePositive = (text: string | undefined, defaultValue: number): number => {
  const number = Number(text);
  return number > 0 ? number : defaultValue;
};

/**
 * Finds the user of the forge's runner, and claims it: all of its processes are killed between jobs.
 *
 * @returns undefined for this process's own
 * @throws BatonError CONFIG_INVALID
 */
async function prepareUser(options: ProxyOptions): Promise<RunnerUser | undefined> {
  if (options['same-user']) {
    log.warn('jobs run as the proxy’s own user: their steps could read its token and change its programs');
    return undefined;
  }
  const doing = 'reading the proxy’s options: --runner-user';
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    const what =
      'only root on Linux can run the forge’s runner as another user. Start the proxy as root; or give --same-user';
    throw new BatonError('CONFIG_INVALID', `${doing}: ${what}, and every job on this proxy can read its token`);
  }
  const user = findRunnerUser(options['runner-user']);
  if ((await acquireLock(join(LOCKS, `baton-proxy-user-${user.uid}.lock`), { waitMs: 0 })) === undefined) {
    const what = `another proxy on this machine uses user ${user.name}; each needs one of its own`;
    throw new BatonError('CONFIG_INVALID', `${doing}: ${what}`);
  }
  if (withoutNewPrivileges([]) === undefined) {
    log.warn(
      { user: user.name },
      'there is no setpriv on this machine: sudo, where this user may use it, makes jobs root',
    );
  }
  return user;
}

/** @throws BatonError CONFIG_INVALID if jobs could read the credential, CONFIG_UNREADABLE, SECRET_INVALID */
function openTokens(options: ProxyOptions & ProxySecrets, user: RunnerUser | undefined): TokenSource {
  const { 'credential-file': file, token = '' } = options;
  if (file === undefined) return createFixedSource(token);
  if (user !== undefined) assertUnreadable(file, user, '--credential-file');
  const tokens = createCredentialSource(file);
  const days = Math.floor((tokens.expiry() * 1000 - Date.now()) / 86_400_000);
  if (days < EXPIRY_WARNING_DAYS) log.warn({ days }, 'the proxy’s credential expires soon, or has expired');
  return tokens;
}

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
  const { name, labels, share, state } = options;
  const user = await prepareUser(options);
  mkdirSync(state, { recursive: true });
  if (user !== undefined) {
    assertProtected(state, user, '--state');
    chmodSync(state, 0o755);
  }
  const hook = await writeHookFolder(join(state, 'hooks'));
  const socket = join(state, `${name}.sock`);
  const timeoutMs = parsePositive(process.env[PROXY_ENV.requestTimeout], REQUEST_TIMEOUT_MS);
  const breaker = new HandOverBreaker(parsePositive(process.env[PROXY_ENV.breakerPause], BREAKER_PAUSE_MS));
  const tokens = openTokens(options, user);
  const client = new OrchestratorClient(options['orchestrator-url'], () => tokens.current(), timeoutMs);
  const handOver = new HandOver({ identity: { name, labels, share }, client, breaker, log });
  const environment = createRunnerEnvironment(process.env, { directory: options.directory, share, hook, socket, user });
  const pidFile = join(state, `${name}.pid`);
  const proxy = new ProxyRunner({ options, user, environment, handOver, pidFile, log });
  const hookSocket = await serveHookSocket({
    socket,
    gid: user?.gid,
    answer: (request) => handOver.answer(request),
    onAnswered: () => proxy.endAttempt(),
    onMalformed: () => handOver.refuse('malformed'),
    log,
  });
  const metrics = new Registry();
  metrics.setDefaultLabels({ service: 'proxy', proxy: name });
  collectDefaultMetrics({ register: metrics });
  registerProxyMetrics(metrics, { proxy, handOver, breaker, tokens });
  const http = fastify({ forceCloseConnections: true });
  http.get('/healthz', () => ({ status: 'ok' }));
  http.get('/readyz', (_request, reply) => {
    return reply.code(proxy.running ? 200 : 503).send({ status: proxy.running ? 'ready' : 'not ready' });
  });
  http.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
  await proxy.configure();
  const address = await http.listen({ host: options.host, port: options.port });
  log.info({ address, runner: name }, 'proxy is ready');
  const code = await proxy.run(stop.signal);
  await http.close();
  hookSocket.close();
  log.info('proxy stopped');
  process.exit(code);
} catch (error) {
  const details = error instanceof BatonError ? { code: error.code, help: error.help } : {};
  log.fatal({ ...details, err: error }, getErrorMessage(error));
  process.exit(1);
}
