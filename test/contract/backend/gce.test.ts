import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import type { Backend } from '../../../contracts/ports/backend.ts';
import { anInstanceSpec } from '../../support/an-instance-spec.ts';
import { startFaultProxy, type Answer, type FaultProxy } from '../../support/fault-proxy.ts';
import { internalError, throttled, unauthenticated, type GceApiError } from './gce-server/errors.ts';
import { FIRST, GceProject, SECOND } from './gce-server/project.ts';
import { backendContract } from './suite.ts';

let project: GceProject;
let proxy: FaultProxy;

beforeAll(async () => {
  project = await GceProject.start();
  proxy = await startFaultProxy(project.server.address);
});

afterAll(async () => {
  await proxy.close();
  await project.stop();
});

const google = (error: GceApiError): Answer => ({
  status: error.status,
  headers: { 'content-type': 'application/json' },
  body: error.body(),
});

const json = (body: unknown): Answer => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

const EMPTY_ZONE = { warning: { code: 'NO_RESULTS_ON_PAGE', message: 'There are no results.' } };

const isInsert = ({ method, path }: { method: string; path: string }): boolean =>
  method === 'POST' && /\/instances(\?|$)/.test(path);
const isLagging = ({ method, path }: { method: string; path: string }): boolean =>
  method === 'GET' && /\/aggregated\/instances|\/operations(\?|$)/.test(path);

backendContract('gce', () => {
  const throughProxy = (installation: string): Backend => project.open(installation, { endpoint: proxy.address });
  return Promise.resolve({
    against: 'compute v1’s schema',
    open: project.open,
    spec: anInstanceSpec,
    config: project.settings(),
    // Google's library alone takes half a second to load.
    killAfterMs: [300, 600, 900],
    partialCreates: [
      ['a request in progress', async (spec) => project.startInsert(spec, FIRST)],
      ['a request in progress in the other zone', async (spec) => project.startInsert(spec, SECOND)],
      [
        'two requests, in two zones',
        async (spec) => {
          project.startInsert(spec, SECOND);
          project.startInsert(spec, FIRST);
        },
      ],
    ],
    kill: async ({ id, runner }) => project.server.cloud.powerOff(id.split('/')[0] ?? '', runner),
    killed: { exitCode: null, reason: /TERMINATED/ },
    listLeftovers: async (installations) => project.listMachines(installations),
    createMany: async (installation, count) => {
      const runners = Array.from(
        { length: count },
        (_, index) => `${installation}-linux-${String(index).padStart(8, '0')}`,
      );
      for (const [index, runner] of runners.entries())
        project.startInsert(anInstanceSpec(installation, runner), index % 2 ? FIRST : SECOND);
      return async () => {
        for (const runner of runners)
          for (const zone of [FIRST, SECOND]) project.server.cloud.machines.delete(`${zone}/${runner}`);
      };
    },
    tags: {
      read: async ({ id, runner }) => project.server.cloud.readLabels(id.split('/')[0] ?? '', runner),
      set: async ({ id, runner }) => {
        const [zone = ''] = id.split('/');
        project.server.cloud.addLabel(zone, runner, 'cost-centre', randomUUID());
      },
    },
    faults: {
      proxy,
      open: throughProxy,
      isCreate: isInsert,
      isLook: ({ method, path }) => method === 'GET' && /\/(instances|operations)/.test(path),
      isDelete: ({ method }) => method === 'DELETE',
      isLagging,
      failed: google(internalError()),
      throttled: google(throttled()),
      expired: google(unauthenticated()),
      emptyList: ({ path }) =>
        path.includes('/aggregated/')
          ? json({ kind: 'compute#instanceAggregatedList', items: { [`zones/${FIRST}`]: EMPTY_ZONE } })
          : json({ kind: 'compute#operationList', items: [] }),
    },
    capacity: {
      open: throughProxy,
      isCreateIn: (call, placement) => isInsert(call) && call.path.includes(placement === 'first' ? FIRST : SECOND),
      exhausted: json({
        kind: 'compute#operation',
        name: 'operation-without-capacity',
        status: 'DONE',
        operationType: 'insert',
        endTime: '2099-01-01T00:00:00Z',
        httpErrorStatusCode: 503,
        error: {
          errors: [{ code: 'ZONE_RESOURCE_POOL_EXHAUSTED', message: 'The zone does not have enough resources.' }],
        },
      }),
      findPlacement: async ({ id }) => (id.startsWith(`${FIRST}/`) ? 'first' : 'second'),
    },
    absent: {},
  });
});
