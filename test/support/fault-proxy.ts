import { createServer, request, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** One request that the proxy received. */
export interface Call {
  method: string;
  /** The path with its query. */
  path: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
  /** The status of the answer; undefined before the answer, and where there was none. */
  status?: number;
  answer?: string;
}

export interface Answer {
  status: number;
  headers?: OutgoingHttpHeaders;
  body: string;
}

/**
 * - `answer`: the proxy gives this answer without asking the target (throttled, failed, denied, an empty list)
 * - `answer-after`: the target does its work, and the proxy gives this answer instead of the target's
 * - `hang`, `hang-after`: the proxy never answers; the target does nothing, or does its work
 * - `cut`, `cut-after`: the connection breaks; the target does nothing, or does its work first
 */
export type Fault =
  | { kind: 'answer' | 'answer-after'; answer: Answer | ((call: Call) => Answer) }
  | { kind: 'hang' | 'hang-after' | 'cut' | 'cut-after' };

export interface FaultRule {
  when: (call: Call) => boolean;
  /** How many calls the rule applies to. Default: all until it is removed. */
  times?: number;
  fault: Fault;
}

export interface FaultProxy {
  /** `http://127.0.0.1:port`, or the path of its unix socket. */
  readonly address: string;
  /** All calls, oldest first. */
  readonly calls: readonly Call[];
  /** Adds a rule; of several rules for a call the newest applies. `hit` resolves at the rule's first call. */
  inject(rule: FaultRule): { remove(): void; hit: Promise<void> };
  /** Removes all rules. */
  clear(): void;
  close(): Promise<void>;
}

interface Injected {
  rule: FaultRule;
  left: number;
  reportHit: () => void;
}

/** Answers calls instead of the target, which it may ask with `forward`; undefined passes the call on. */
export type Serve = (call: Call, forward: (body?: string) => Promise<Answer>) => Promise<Answer> | undefined;

/**
 * Starts an HTTP proxy that can throttle, not answer, answer 500 after the target did its work, deny, and answer with
 * old lists.
 *
 * @param target `http://host:port`, or the path of a unix socket
 * @param socket the path of a unix socket to listen on. Default: a port
 */
export async function startFaultProxy(target: string, serve?: Serve, socket?: string): Promise<FaultProxy> {
  const rules: Injected[] = [];
  const calls: Call[] = [];
  const sockets = new Set<Socket>();

  const server = createServer((incoming, response) => {
    handle(incoming, response).catch(() => response.destroy());
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = incoming;
    const call: Call = { method, path, headers, body: await buffer(incoming) };
    calls.push(call);
    const found = rules.findLast(({ rule, left }) => left > 0 && rule.when(call));
    if (found === undefined) {
      await pass(call, response);
      return;
    }
    found.left -= 1;
    found.reportHit();
    const { fault } = found.rule;
    if (fault.kind.endsWith('-after')) await (served(call) ?? buffered(call));
    if (fault.kind === 'answer' || fault.kind === 'answer-after') {
      const answer = typeof fault.answer === 'function' ? fault.answer(call) : fault.answer;
      call.status = answer.status;
      response.writeHead(answer.status, answer.headers).end(answer.body);
    } else if (fault.kind.startsWith('cut')) response.destroy();
  }

  /** Passes the answer on piece by piece: it may be a stream of events. */
  async function pass(call: Call, response: ServerResponse): Promise<void> {
    const own = await served(call);
    if (own !== undefined) {
      call.status = own.status;
      call.answer = own.body;
      response.writeHead(own.status, own.headers).end(own.body);
      return;
    }
    const answer = await forward(call, response);
    call.status = answer.statusCode ?? 0;
    response.writeHead(call.status, answer.headers);
    response.flushHeaders();
    call.answer = '';
    for await (const chunk of answer) {
      if (call.answer.length < 100_000) call.answer += String(chunk);
      if (!response.write(chunk)) await new Promise((resolve) => response.once('drain', resolve));
    }
    response.end();
  }

  function served(call: Call): Promise<Answer> | undefined {
    return serve?.(call, (body) => buffered(body === undefined ? call : { ...call, body: Buffer.from(body) }));
  }

  async function buffered(call: Call): Promise<Answer> {
    const answer = await forward(call);
    const body = (await buffer(answer)).toString();
    return { status: answer.statusCode ?? 0, headers: { 'content-type': answer.headers['content-type'] }, body };
  }

  function forward({ method, path, headers, body }: Call, response?: ServerResponse): Promise<IncomingMessage> {
    const where = target.startsWith('/') ? { socketPath: target } : toAddress(target);
    return new Promise((resolve, reject) => {
      const sent = { ...headers, 'content-length': String(body.length) };
      delete sent['transfer-encoding'];
      const outgoing = request({ ...where, method, path, headers: sent, agent: false }, resolve);
      outgoing.on('error', reject);
      response?.on('close', () => outgoing.destroy());
      outgoing.end(body);
    });
  }

  await new Promise<void>((resolve) => {
    if (socket === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(socket, resolve);
  });
  const bound = server.address();
  return {
    address: typeof bound === 'string' ? bound : `http://127.0.0.1:${bound?.port}`,
    calls,
    inject: (rule) => {
      const { promise: hit, resolve: met } = Promise.withResolvers<void>();
      const injected: Injected = { rule, left: rule.times ?? Infinity, reportHit: met };
      rules.push(injected);
      return { hit, remove: () => void (injected.left = 0) };
    },
    clear: () => void rules.splice(0),
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function toAddress(target: string): { hostname: string; port: string } {
  const { hostname, port } = new URL(target);
  return { hostname, port };
}
