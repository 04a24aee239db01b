import { randomUUID } from 'node:crypto';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../contracts/lib/log.ts';
import type { RunnerSignal } from '../../contracts/messages/runner-signal.ts';
import { hookLine, type HookReply } from '../lib/hook-line.ts';
import type { SignalDelivery } from './outbox.ts';
import { nameWrongFields } from '../../contracts/lib/schema-errors.ts';

/** Longer than any real hook's line, characters. */
const MAX_LINE_LENGTH = 16_384;

/** A connection that sends nothing is closed after this time. */
const IDLE_TIMEOUT_MS = 5000;

/**
 * Listens for hooks on a Unix socket that only this user may open.
 *
 * @param options.send publishes a signal; resolves when it has been delivered, refused or has expired
 * @returns the listening server; closing it removes the socket
 */
export async function listenForHooks(options: {
  socket: string;
  runner: string;
  send: (signal: RunnerSignal) => Promise<SignalDelivery>;
  log: Logger;
}): Promise<Server> {
  await mkdir(dirname(options.socket), { recursive: true, mode: 0o700 });
  await rm(options.socket, { force: true });
  const server = createServer((connection) => {
    serve(connection, options).catch((error: unknown) => {
      options.log.warn({ err: error }, 'a hook’s connection failed');
      connection.destroy();
    });
  });
  server.maxConnections = 32;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.socket, resolve);
  });
  await chmod(options.socket, 0o600);
  return server;
}

async function serve(connection: Socket, options: Parameters<typeof listenForHooks>[0]): Promise<void> {
  connection.setTimeout(IDLE_TIMEOUT_MS, () => connection.destroy());
  const text = await readFirstLine(connection);
  connection.setTimeout(0);
  connection.end(`${JSON.stringify(await answer(text, options))}\n`);
}

async function answer(text: string, options: Parameters<typeof listenForHooks>[0]): Promise<HookReply> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { state: 'refused', message: 'not a line of JSON' };
  }
  const line = hookLine.safeParse(json);
  if (!line.success) {
    return { state: 'refused', message: `wrong or missing: ${nameWrongFields(line.error)}` };
  }
  const { waitMs, ...content } = line.data;
  const signal: RunnerSignal = { ...content, id: randomUUID(), runner: options.runner, at: new Date().toISOString() };
  const delivery = await Promise.race([options.send(signal), sleep(waitMs, 'queued' as const, { ref: false })]);
  if (delivery === 'delivered' || delivery === 'queued') return { state: delivery };
  return { state: 'refused', message: `the signal was ${delivery}` };
}

function readFirstLine(connection: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    connection.setEncoding('utf8');
    connection.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > MAX_LINE_LENGTH) reject(new Error(`a line has more than ${MAX_LINE_LENGTH} characters`));
    });
    connection.once('error', reject);
    connection.once('close', () => reject(new Error('the connection closed before a line arrived')));
  });
}
