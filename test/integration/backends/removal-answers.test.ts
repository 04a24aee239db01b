import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DockerBackend } from '../../../activities/backends/docker/docker.ts';
import { Ec2Backend } from '../../../activities/backends/ec2/ec2.ts';
import { ec2Backend } from '../../../contracts/config/ec2.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import type { Backend } from '../../../contracts/ports/backend.ts';
import { startFaultProxy, type Answer, type Call, type FaultProxy } from '../../support/fault-proxy.ts';

/**
 * Every answer that an engine or EC2 can give in each step of a removal, by what the backend makes of it: through the real client
 * libraries, to a server with one instance that only a successful removal takes away.
 */
const never = new AbortController().signal;
const log = createLogger('test', 'silent');
const RUNNER = 'demo-linux-a';
const REFUSED = [400, 402, 404, 405, 406, 409, 410, 412, 413, 415, 422, 426, 431, 451];
const FAILED = [408, 429, 500, 501, 502, 503, 504, 507, 520, 599];

type Answers = Partial<Record<string, Answer>>;
type Row = [step: string, does: string, answer: Answer, outcome: string];

const json = (status: number, body: unknown): Answer => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: status === 204 ? '' : JSON.stringify(body),
});
const page = (status: number, body: string, type = 'text/html'): Answer => ({
  status,
  headers: { 'content-type': type },
  body,
});

/** Removes the instance once with the answers, then once without them. */
async function removeTwice(server: Server, answers: Answers): Promise<{ outcome: string; message: string }> {
  server.reset(answers);
  const end = { outcome: 'gone', message: '' };
  try {
    await server.backend.delete(RUNNER, never);
  } catch (error) {
    if (!(error instanceof BatonError)) throw error;
    Object.assign(end, { outcome: error.retryable ? error.code : 'not retryable', message: error.message });
  }
  // Never gone while it is there.
  if (server.isThere() && end.outcome === 'gone') throw new Error('the removal resolved, and the instance is there');
  server.answers = {};
  await server.backend.delete(RUNNER, never);
  expect(server.isThere()).toBe(false);
  return end;
}

interface Server {
  answers: Answers;
  backend: Backend;
  isThere: () => boolean;
  reset: (answers: Answers) => void;
  close: () => Promise<void>;
}

const proxyOf = (serve: (call: Call) => Answer): Promise<FaultProxy> =>
  startFaultProxy('http://127.0.0.1:1', (call) => Promise.resolve(serve(call)));

async function startEngine(): Promise<Server> {
  const left = new Set<string>();
  const labels = { 'baton.installation': 'demo', 'baton.group': 'linux', 'baton.runner': RUNNER };
  const kept = (name: string, found: unknown): unknown[] => (left.has(name) ? [found] : []);
  const proxy = await proxyOf(({ method, path }) => {
    const kind = path.startsWith('/containers') ? 'container' : 'network';
    const step = `${method === 'DELETE' ? 'remove' : 'list'} ${kind}`;
    const fault = server.answers[step];
    if (fault !== undefined) return fault;
    if (method === 'DELETE') {
      left.delete(kind);
      return json(204, '');
    }
    if (kind === 'network') return json(200, kept(kind, { Id: 'n1', Created: '2026-01-01T00:00:00Z', Labels: labels }));
    return json(200, kept(kind, { Id: 'c1', Created: 1, Labels: labels, State: 'running', Status: 'Up' }));
  });
  const server: Server = {
    answers: {},
    backend: new DockerBackend({
      installation: 'demo',
      socket: proxy.address.replace('http:', 'tcp:'),
      networkPool: '10.214.0.0/16',
      agent: { hash: '', files: [], archive: Buffer.from('') },
      log,
      removalTimeoutMs: 150,
    }),
    isThere: () => left.size > 0,
    reset: (answers) => {
      server.answers = answers;
      left.add('container').add('network');
    },
    close: () => proxy.close(),
  };
  return server;
}

const STEPS = ['list container', 'remove container', 'list network', 'remove network'];
const ENGINE: Row[] = STEPS.flatMap((step): Row[] => {
  const isList = step.startsWith('list');
  const waits = (status: number): boolean => !isList && (status === 404 || status === 409);
  const outcome = (status: number): string => (waits(status) ? 'BACKEND_UNAVAILABLE' : 'BACKEND_REFUSED');
  return [
    ...REFUSED.map((status): Row => [step, `${status}`, json(status, { message: `no ${status}` }), outcome(status)]),
    ...FAILED.map((status): Row => [step, `${status}`, json(status, { message: 'no' }), 'BACKEND_UNAVAILABLE']),
    [step, '401', json(401, { message: 'no' }), 'BACKEND_DENIED'],
    [step, '403 of a plugin', json(403, { message: 'authorization denied by plugin x' }), 'BACKEND_DENIED'],
    [step, 'an empty body', page(200, ''), 'BACKEND_UNAVAILABLE'],
    [step, 'a page of an outage with 200', page(200, '<html>maintenance</html>'), 'BACKEND_UNAVAILABLE'],
    [step, 'null', json(200, null), 'BACKEND_UNAVAILABLE'],
    [step, 'an object', json(200, { length: 0 }), 'BACKEND_UNAVAILABLE'],
  ];
});
ENGINE.push([
  'remove network',
  '403 of endpoints',
  json(403, { message: 'it has active endpoints' }),
  'BACKEND_UNAVAILABLE',
]);

const xml = (status: number, body: string): Answer => page(status, body, 'text/xml');
const refuse = (status: number, code: string): Answer =>
  xml(status, `<Response><Errors><Error><Code>${code}</Code><Message>no ${code}</Message></Error></Errors></Response>`);

async function startEc2(): Promise<Server> {
  let state = 'running';
  const tags = `<tagSet><item><key>baton.installation</key><value>demo</value></item><item><key>baton.runner</key><value>${RUNNER}</value></item></tagSet>`;
  const proxy = await proxyOf(({ body }) => {
    const action = new URLSearchParams(body.toString()).get('Action') ?? '';
    const fault = server.answers[action];
    if (fault !== undefined) return fault;
    if (action === 'TerminateInstances') {
      state = 'terminated';
      return xml(
        200,
        `<R><instancesSet><item><instanceId>i-1</instanceId><currentState><name>shutting-down</name></currentState></item></instancesSet></R>`,
      );
    }
    if (action === 'CreateTags') return xml(200, '<R><return>true</return></R>');
    const machine = `<instanceId>i-1</instanceId><instanceState><name>${state}</name></instanceState>${tags}`;
    return xml(
      200,
      `<R><reservationSet><item><instancesSet><item>${machine}</item></instancesSet></item></reservationSet></R>`,
    );
  });
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  const config = ec2Backend.parse({
    type: 'ec2',
    region: 'us-east-1',
    endpoint: proxy.address,
    ingress_url: 'http://127.0.0.1:1',
    image: { id: 'ami-00000000' },
    types: ['m5.large'],
    subnets: ['subnet-00000000'],
  });
  const server: Server = {
    answers: {},
    backend: new Ec2Backend({ installation: 'demo', config, userData: () => '', log, listLagMs: 100 }),
    isThere: () => state === 'running',
    reset: (answers) => {
      server.answers = answers;
      state = 'running';
    },
    close: () => proxy.close(),
  };
  return server;
}

const CODES: [outcome: string, status: number, codes: string[]][] = [
  ['BACKEND_DENIED', 403, ['UnauthorizedOperation', 'Blocked', 'InvalidClientTokenId', 'SignatureDoesNotMatch']],
  ['BACKEND_DENIED', 401, ['AuthFailure', 'OptInRequired']],
  ['BACKEND_DENIED', 400, ['ExpiredToken', 'PendingVerification', 'IncompleteSignature', 'MissingAuthenticationToken']],
  ['BACKEND_UNAVAILABLE', 400, ['InvalidInstanceID.NotFound', 'IncorrectInstanceState', 'ResourceCountExceeded']],
  ['BACKEND_REFUSED', 400, ['OperationNotPermitted', 'InvalidInstanceID.Malformed', 'UnsupportedOperation']],
  ['BACKEND_REFUSED', 400, ['InvalidParameterValue', 'InvalidAction', 'UnknownParameter', 'ValidationError']],
];
const EC2: Row[] = ['DescribeInstances', 'TerminateInstances'].flatMap((step): Row[] => [
  ...CODES.flatMap(([outcome, status, codes]) => codes.map((code): Row => [step, code, refuse(status, code), outcome])),
  // The library asks again before it gives these up.
  [step, 'RequestLimitExceeded', refuse(503, 'RequestLimitExceeded'), 'BACKEND_UNAVAILABLE'],
  [step, 'InternalError', refuse(500, 'InternalError'), 'BACKEND_UNAVAILABLE'],
  [step, 'Unavailable', refuse(503, 'Unavailable'), 'BACKEND_UNAVAILABLE'],
  [step, 'a proxy’s 404', page(404, '<html>no</html>'), 'BACKEND_REFUSED'],
  [step, 'an empty body', xml(200, ''), 'BACKEND_UNAVAILABLE'],
  [step, 'a page of an outage with 200', page(200, '<html><body>maintenance</body></html>'), 'BACKEND_UNAVAILABLE'],
  [step, 'an answer without its list', xml(200, '<R><requestId>1</requestId></R>'), 'BACKEND_UNAVAILABLE'],
]);
EC2.push(
  ['CreateTags', 'TagLimitExceeded', refuse(400, 'TagLimitExceeded'), 'gone'],
  ['CreateTags', 'UnauthorizedOperation', refuse(403, 'UnauthorizedOperation'), 'gone'],
);

describe.each([
  ['docker', startEngine, ENGINE],
  ['ec2', startEc2, EC2],
] as const)('the removal of an instance of %s', (_backend, start, rows) => {
  let server: Server;

  beforeAll(async () => {
    server = await start();
  });
  afterAll(async () => {
    await server?.close();
  });

  it.each(rows)('where the call "%s" is answered with %s', async (step, does, answer, outcome) => {
    const end = await removeTwice(server, { [step]: answer });
    const says = outcome === 'BACKEND_REFUSED' && !does.startsWith('a ') ? `no ${does}` : '';
    expect(end.outcome).toBe(outcome);
    expect(end.message).toContain(says);
  });
});
