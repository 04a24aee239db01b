import { chmod, chown, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { hookRequest, type HookAnswer, type HookRequest } from '../../contracts/messages/proxy-hook.ts';

/** The largest environment that a hook sends, as JSON, in which a character may take six bytes. */
const MAX_REQUEST_BYTES = 8 * 1024 * 1024;
/** How long a request may take to arrive, and a hook to print its answer, ms. */
const RECEIVE_TIMEOUT_MS = 10_000;
const PRINT_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 8;

export interface HookSocketOptions {
  socket: string;
  /** The group whose members may connect, besides this process's own user. */
  gid: number | undefined;
  /** Must not reject; undefined closes the connection without an answer. */
  answer: (request: HookRequest) => Promise<HookAnswer | undefined>;
  /** A hook has printed its answer, or will not: the attempt may be ended. */
  onAnswered: () => void;
  onMalformed: () => void;
  log: Logger;
}

/** Listens for the proxy's hook. @returns the listening server; closing it removes the socket */
export async function serveHookSocket(options: HookSocketOptions): Promise<Server> {
  const { socket, gid, log } = options;
  await rm(socket, { force: true });
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    serve(connection, options).catch((error: unknown) => {
      log.info({ reason: getErrorMessage(error) }, 'a connection to the proxy’s socket failed');
      connection.destroy();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  if (gid !== undefined) await chown(socket, 0, gid);
  await chmod(socket, gid === undefined ? 0o600 : 0o660);
  return server;
}

async function serve(connection: Socket, options: HookSocketOptions): Promise<void> {
  const over = new Promise<undefined>((resolve) => {
    for (const event of ['end', 'close'] as const) connection.once(event, () => resolve(undefined));
  });
  connection.on('error', () => undefined);
  const line = await withTimeout(Promise.race([readFirstLine(connection), over]), RECEIVE_TIMEOUT_MS);
  const request = parseRequest(line);
  if (request === undefined) options.onMalformed();
  const answer = request && (await options.answer(request));
  if (answer === undefined) {
    connection.destroy();
    return;
  }
  connection.write(`${JSON.stringify(answer)}\n`);
  await withTimeout(over, PRINT_TIMEOUT_MS).catch(() => undefined);
  connection.end();
  options.onAnswered();
}

function parseRequest(line: string | undefined): HookRequest | undefined {
  try {
    return hookRequest.safeParse(JSON.parse(line ?? '')).data;
  } catch {
    return undefined;
  }
}

/** Resolves with undefined if there is no line within the first {@link MAX_REQUEST_BYTES}. */
function readFirstLine(connection: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let bytes = 0;
    const chunks: Buffer[] = [];
    connection.on('data', (chunk: Buffer) => {
      // What follows the first line, or is too large, is read and forgotten: otherwise the end would not be noticed.
      if (bytes > MAX_REQUEST_BYTES) return;
      const end = chunk.indexOf('\n');
      bytes = end < 0 ? bytes + chunk.length : Number.POSITIVE_INFINITY;
      chunks.push(end < 0 ? chunk : chunk.subarray(0, end));
      if (end >= 0) resolve(Buffer.concat(chunks).toString('utf8'));
      else if (bytes > MAX_REQUEST_BYTES) resolve(undefined);
    });
  });
}

async function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing arrived within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
