import { expect } from 'vitest';
import { DockerBackend } from '../../../activities/backends/docker/docker.ts';
import { Ec2Backend } from '../../../activities/backends/ec2/ec2.ts';
import { ec2Backend } from '../../../contracts/config/ec2.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import type { Backend } from '../../../contracts/ports/backend.ts';
import { startFaultProxy, type Answer, type Call, type FaultProxy } from '../../support/fault-proxy.ts';
import { jsonAnswer, pageAnswer, toRemovalEnding, type RemovalEnding } from '../../support/removal-ending.ts';

/** Servers with one instance that only a successful removal takes away, and a backend that asks them. */
const never = new AbortController().signal;
const log = createLogger('test', 'silent');
const RUNNER = 'demo-linux-a';

/** Answers by step: all of a step have the one. */
export type Answers = Partial<Record<string, Answer>>;

/** Removes the instance of a new server once with the answers, then once without them. */
export async function removeTwice(start: () => Promise<Server>, answers: Answers): Promise<RemovalEnding> {
  const server = await start();
  try {
    server.answers = answers;
    const ending = await toRemovalEnding(server.backend.delete(RUNNER, never), server.isThere);
    server.answers = {};
    expect(await toRemovalEnding(server.backend.delete(RUNNER, never), server.isThere)).toMatchObject({
      outcome: 'gone',
    });
    return ending;
  } finally {
    await server.close();
  }
}

interface Server {
  answers: Answers;
  backend: Backend;
  isThere: () => boolean;
  close: () => Promise<void>;
}

const proxyOf = (serve: (call: Call) => Answer): Promise<FaultProxy> =>
  startFaultProxy('http://127.0.0.1:1', (call) => Promise.resolve(serve(call)));

export async function serveEngine(): Promise<Server> {
  const left = new Set(['container', 'network']);
  const labels = { 'baton.installation': 'demo', 'baton.group': 'linux', 'baton.runner': RUNNER };
  const kept = (name: string, found: unknown): unknown[] => (left.has(name) ? [found] : []);
  const proxy = await proxyOf(({ method, path }) => {
    const kind = path.startsWith('/containers') ? 'container' : 'network';
    const step = `${method === 'DELETE' ? 'remove' : 'list'} ${kind}`;
    const fault = server.answers[step];
    if (fault !== undefined) return fault;
    if (method === 'DELETE') {
      left.delete(kind);
      return jsonAnswer(204, '');
    }
    if (kind === 'network')
      return jsonAnswer(200, kept(kind, { Id: 'n1', Created: '2026-01-01T00:00:00Z', Labels: labels }));
    return jsonAnswer(200, kept(kind, { Id: 'c1', Created: 1, Labels: labels, State: 'running', Status: 'Up' }));
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
    close: () => proxy.close(),
  };
  return server;
}

export const xml = (status: number, body: string): Answer => pageAnswer(status, body, 'text/xml');
export const refuse = (status: number, code: string): Answer =>
  xml(status, `<Response><Errors><Error><Code>${code}</Code><Message>no ${code}</Message></Error></Errors></Response>`);

export async function serveEc2(): Promise<Server> {
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
    close: () => proxy.close(),
  };
  return server;
}
