import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configMapReporter } from '../../../hooks/action-runners/reporters/kubernetes-configmap.ts';
import type { Report } from '../../../hooks/action-runners/manager/report.ts';
import { startAgentWorld, type AgentWorld } from '../../support/agent.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { expectExit, startActionRunner } from './action-runner-process.ts';
import { startKubernetes, type FakeKubernetes } from './kubernetes.ts';

const folder = temporaryFolder('reporter');
const context = { name: 'build-1', platform: { NAMESPACE: 'ci' } };
const runningReport: Report = { state: 'running', at: '2026-01-01T00:00:00.000Z', message: 'it runs', logTail: '' };
let kubernetes: FakeKubernetes;

beforeAll(async () => {
  kubernetes = await startKubernetes();
  Object.assign(process.env, kubernetes.env);
});
afterAll(async () => {
  for (const name of Object.keys(kubernetes.env)) delete process.env[name];
  await kubernetes.close();
  folder.remove();
});
beforeEach(() => {
  kubernetes.maps.clear();
  kubernetes.requests.length = 0;
});

const never = new AbortController().signal;
const PATH = '/api/v1/namespaces/ci/configmaps';

describe('reporter kubernetes-configmap', () => {
  const report = (more: Partial<Report> = {}, abort = never) =>
    configMapReporter().report(context, { ...runningReport, ...more }, abort);

  it('creates a missing ConfigMap, and changes only its own key of an existing one', async () => {
    await report();
    Object.assign(kubernetes.maps.get('build-1')?.data ?? {}, { engine: 'its own' });
    await report({ state: 'succeeded' });
    const data = kubernetes.maps.get('build-1')?.data ?? {};
    expect(JSON.parse(data['status'] ?? '')).toMatchObject({ state: 'succeeded' });
    expect(data['engine']).toBe('its own');
    expect(kubernetes.requests).toEqual([`PATCH ${PATH}/build-1 404`, `POST ${PATH} 201`, `PATCH ${PATH}/build-1 200`]);
  });

  it('retries after faults, and when the ConfigMap was created in the meantime, whose content it keeps', async () => {
    kubernetes.faults.push('unavailable', 'throttled', 'reset');
    await report();
    expect(kubernetes.findStatuses('build-1').at(-1)).toMatchObject({ state: 'running' });
    expect(kubernetes.requests.slice(0, 3).map((line) => line.split(' ').at(-1))).toEqual(['503', '429', 'reset']);
    kubernetes.maps.clear();
    kubernetes.requests.length = 0;
    // The first request, the patch, finds none; the second, which would create it, comes too late.
    kubernetes.faults.push('none', 'created-meanwhile');
    await report({ message: 'again' });
    expect(kubernetes.requests.map((line) => line.split(' ').at(-1))).toEqual(['404', '409', '200']);
    expect(kubernetes.maps.get('build-1')?.data).toMatchObject({ other: 'kept', status: expect.any(String) });
  });

  it('fails at once when it has no permission, and says so', async () => {
    kubernetes.faults.push('forbidden');
    await expect(report()).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringMatching(/ConfigMap ci\/build-1: 403 .*Forbidden/),
    });
    expect(kubernetes.requests).toHaveLength(1);
  });

  it('gives up when its signal fires', async () => {
    kubernetes.faults.push(...Array.from({ length: 20 }, () => 'unavailable' as const));
    const giveUp = new AbortController();
    const reporting = report({}, giveUp.signal);
    setTimeout(() => giveUp.abort(), 300);
    await expect(reporting).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    kubernetes.faults.length = 0;
  });

  it('refuses an API server with another certificate', async () => {
    const other = await startKubernetes();
    process.env['KUBERNETES_SERVICE_PORT'] = other.env['KUBERNETES_SERVICE_PORT'];
    const giveUp = new AbortController();
    void other.refused.then(() => giveUp.abort());
    await expect(report({}, giveUp.signal)).rejects.toMatchObject({ message: expect.stringMatching(/certificate/) });
    expect(other.requests).toEqual([]);
    process.env['KUBERNETES_SERVICE_PORT'] = kubernetes.env['KUBERNETES_SERVICE_PORT'];
    await other.close();
  });
});

describe('reporter nats', () => {
  let world: AgentWorld;
  beforeAll(async () => {
    world = await startAgentWorld();
  });
  afterAll(() => world.stop());

  it('signals to a runner’s workflow that it is online and how it ended, with any action runner', async () => {
    const name = 'm-g-0123abcd';
    const credentials = join(folder.path, 'runner.creds');
    writeFileSync(credentials, await world.mint(name), { mode: 0o600 });
    const env = { BATON_NATS_URL: world.nats.address, BATON_NATS_CREDENTIALS: credentials };
    const input = { script: 'echo "creds ${BATON_NATS_CREDENTIALS:-none}"; exit 4' };
    const command = startActionRunner('shell', { folder: folder.path, name, input, env });
    await expectExit(command, 1);
    expect(await world.signal(name, 'exited')).toMatchObject({ code: 4, signal: null, logTail: 'creds none\n' });
    expect(world.findSignals(name).map(({ kind }) => kind)).toEqual(['online', 'exited']);
  });

  it('logs that the signal was refused when the credential belongs to another runner', async () => {
    const credentials = join(folder.path, 'other.creds');
    writeFileSync(credentials, await world.mint('m-g-11111111'), { mode: 0o600 });
    const env = { BATON_NATS_URL: world.nats.address, BATON_NATS_CREDENTIALS: credentials };
    const command = startActionRunner('shell', {
      folder: folder.path,
      name: 'm-g-22222222',
      input: { script: 'true' },
      env,
    });
    await expectExit(command, 0);
    expect(command.log()).toContain('signaling that m-g-22222222 is online: the signal was refused');
    expect(world.findSignals('m-g-22222222')).toEqual([]);
  });
});
