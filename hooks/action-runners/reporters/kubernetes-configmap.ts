import { readFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import { backoff } from '../../../contracts/lib/backoff.ts';
import type { Reporter } from '../manager/report.ts';

/** Where Kubernetes puts a pod's credential. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Another folder with `token` and `ca.crt`, for a Manager that is in no pod. */
const SERVICE_ACCOUNT_ENV = 'BATON_KUBERNETES_SERVICE_ACCOUNT';

/** How long the API server may take for one request, milliseconds. */
const REQUEST_BOUND_MS = 10_000;

/**
 * Writes the report into the key `status` of the ConfigMap that is called like the action, in the namespace of
 * `RUNNER_CONTEXT_PLATFORM_NAMESPACE`, as the pod's own service account, which must be allowed to patch and create ConfigMaps.
 * The engine may have made the ConfigMap, with keys of its own: they are left alone.
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
        // A merge patch touches its own key only, and needs no version that another writer could be ahead of.
        let answer = await call('PATCH', `${folder}/${encodeURIComponent(name)}`, { data }, what, abort);
        if (answer.status === 404) {
          const made = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
          answer = await call('POST', folder, made, what, abort);
        }
        if (answer.status === 200 || answer.status === 201) return;
        const said = `${what}: ${answer.text}`;
        // 409: somebody made it meanwhile.
        const again = answer.status === 0 || answer.status === 409 || answer.status === 429 || answer.status >= 500;
        if (again && !abort.aborted)
          await backoff(attempt, { firstMs: 200, maxMs: 5000, abort }).catch(() => undefined);
        if (again && !abort.aborted) continue;
        throw new BatonError('ENGINE_UNAVAILABLE', said, { details: { status: answer.status } });
      }
    },
  };
}

/** @returns the answer; status 0 when there was none */
async function call(
  method: 'PATCH' | 'POST',
  path: string,
  body: unknown,
  what: string,
  abort: AbortSignal,
): Promise<{ status: number; text: string }> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
  if (!host) throw new BatonError('CONFIG_INVALID', `${what}: KUBERNETES_SERVICE_HOST is not set; is this a pod?`);
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const account = process.env[SERVICE_ACCOUNT_ENV] ?? SERVICE_ACCOUNT;
  // Read anew each time: Kubernetes renews a token within its hour.
  const [token, ca] = await Promise.all([
    readFile(join(account, 'token'), 'utf8'),
    readFile(join(account, 'ca.crt')).catch(() => undefined),
  ]).catch((error: unknown) => {
    throw new BatonError('CONFIG_UNREADABLE', `${what}: reading the service account’s token: ${messageOf(error)}`);
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
    const signal = AbortSignal.any([abort, AbortSignal.timeout(REQUEST_BOUND_MS)]);
    const request = httpsRequest(url, { method, headers, signal, ...(ca === undefined ? {} : { ca }) }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: `${response.statusCode} ${text.slice(0, 500)}` }),
      );
      response.on('error', (error) => resolve({ status: 0, text: messageOf(error) }));
    });
    request.on('error', (error) => resolve({ status: 0, text: messageOf(error) }));
    request.end(content);
  });
}
