import { readFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { backoff } from '../../../contracts/lib/backoff.ts';
import type { Reporter } from '../manager/report.ts';

/** Where Kubernetes mounts a pod's credential. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Names another folder with `token` and `ca.crt`, for a Manager outside a pod. */
const SERVICE_ACCOUNT_ENV = 'BATON_KUBERNETES_SERVICE_ACCOUNT';

/** How long one request to the API server may take. */
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Writes the report to the key `status` of the ConfigMap that has the action's name, in the namespace
 * `RUNNER_CONTEXT_PLATFORM_NAMESPACE`. Uses the pod's service account, which must be allowed to patch and create
 * ConfigMaps. If the engine created the ConfigMap, its other keys stay as they are.
 * Source: https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/config-map-v1/
 */
export function configMapReporter(): Reporter {
  return {
    name: 'kubernetes-configmap',
    async report({ name, platform }, report, abort) {
      const { NAMESPACE: namespace } = platform;
      if (namespace === undefined) {
        throw new BatonError(
          'CONFIG_INVALID',
          `reporting to ConfigMap ${name}: RUNNER_CONTEXT_PLATFORM_NAMESPACE is not set`,
        );
      }
      const folder = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`;
      const data = { status: JSON.stringify(report) };
      const what = `reporting to ConfigMap ${namespace}/${name}`;
      for (let attempt = 0; ; attempt++) {
        // A merge patch changes one key only, and cannot conflict with another writer's version.
        let answer = await call('PATCH', `${folder}/${encodeURIComponent(name)}`, { data }, what, abort);
        if (answer.status === 404) {
          const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
          answer = await call('POST', folder, configMap, what, abort);
        }
        if (answer.status === 200 || answer.status === 201) return;
        const problem = `${what}: ${answer.text}`;
        // 409: the ConfigMap was created in the meantime.
        const retryable = answer.status === 0 || answer.status === 409 || answer.status === 429 || answer.status >= 500;
        if (retryable && !abort.aborted)
          await backoff(attempt, { firstMs: 200, maxMs: 5000, abort }).catch(() => undefined);
        if (retryable && !abort.aborted) continue;
        throw new BatonError('ENGINE_UNAVAILABLE', problem, { details: { status: answer.status } });
      }
    },
  };
}

/** @returns the response; status 0 if there was none */
async function call(
  method: 'PATCH' | 'POST',
  path: string,
  body: unknown,
  what: string,
  abort: AbortSignal,
): Promise<{ status: number; text: string }> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
  if (!host)
    throw new BatonError('CONFIG_INVALID', `${what}: KUBERNETES_SERVICE_HOST is not set; does this run in a pod?`);
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const account = process.env[SERVICE_ACCOUNT_ENV] ?? SERVICE_ACCOUNT;
  // Read again for each request: Kubernetes replaces the token before it expires.
  const [token, ca] = await Promise.all([
    readFile(join(account, 'token'), 'utf8'),
    readFile(join(account, 'ca.crt')).catch(() => undefined),
  ]).catch((error: unknown) => {
    throw new BatonError(
      'CONFIG_UNREADABLE',
      `${what}: reading the service account’s token: ${getErrorMessage(error)}`,
    );
  });
  const content = JSON.stringify(body);
  const headers = {
    authorization: `Bearer ${token.trim()}`,
    accept: 'application/json',
    'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
    'content-length': Buffer.byteLength(content),
  };
  const url = new URL(path, server);
  return await new Promise((resolve) => {
    const signal = AbortSignal.any([abort, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
    const request = httpsRequest(url, { method, headers, signal, ...(ca === undefined ? {} : { ca }) }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: `${response.statusCode} ${text.slice(0, 500)}` }),
      );
      response.on('error', (error) => resolve({ status: 0, text: getErrorMessage(error) }));
    });
    request.on('error', (error) => resolve({ status: 0, text: getErrorMessage(error) }));
    request.end(content);
  });
}
