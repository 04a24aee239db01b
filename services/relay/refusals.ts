import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Counter } from 'prom-client';
import { PREFIX } from '../../contracts/messages/subjects.ts';
import { getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';

/** Names the NATS server's log file, where the relay can read it. */
export const SERVER_LOG_ENV = 'BATON_NATS_SERVER_LOG';

const POLL_INTERVAL_MS = 2000;

/** How much of the log is read at once. */
const CHUNK_BYTES = 256 * 1024;

/** The log line of nats-server 2.9 to 2.15. The text before the violation contains a name that the client chooses. */
const REFUSAL = /\[ERR\] .*? (Publish|Subscription) Violation - .*?Subject "([^"]{1,300})"/;

const SUBJECT_KINDS = ['signal', 'register', 'instance', 'webhook', 'status', 'dead', 'created'];

/**
 * Counts and logs the operations that the NATS server refused. A job that uses its runner's credential to publish as
 * another runner leaves no other trace: the server drops the message and reports it only to the sender and in its own
 * log. Reads that log from its current end, follows it through a rotation, and never stops the relay.
 */
export function watchNatsRefusals(
  file: string,
  options: { refused: Counter<'operation' | 'what'>; log: Logger; stop: AbortSignal },
): void {
  follow(file, options).catch((error: unknown) =>
    options.log.error({ err: error }, 'cannot watch the NATS server log any longer'),
  );
}

async function follow(file: string, { refused, log, stop }: Parameters<typeof watchNatsRefusals>[1]): Promise<void> {
  let offset: number | undefined;
  let rest = '';
  let isUnreadable = false;
  while (!stop.aborted) {
    try {
      const handle = await open(file, 'r');
      try {
        const { size } = await handle.stat();
        // Starts at the end of the file; a file that shrank is a new one.
        if (offset === undefined) offset = size;
        if (size < offset) [offset, rest] = [0, ''];
        while (offset < size) {
          const text = await read(handle, offset, Math.min(CHUNK_BYTES, size - offset));
          if (text === '') break;
          offset += Buffer.byteLength(text, 'latin1');
          const lines = (rest + text).split('\n');
          rest = (lines.pop() ?? '').slice(-CHUNK_BYTES);
          for (const line of lines) {
            const [, operation, subject] = REFUSAL.exec(line) ?? [];
            if (operation === undefined || subject === undefined) continue;
            refused.inc({ operation: operation.toLowerCase(), what: parseKind(subject) });
            log.warn(
              { subject, operation: operation.toLowerCase() },
              'NATS refused an operation that the credential does not permit',
            );
          }
        }
      } finally {
        await handle.close();
      }
      isUnreadable = false;
    } catch (error) {
      if (!isUnreadable)
        log.warn({ file, reason: getErrorMessage(error) }, 'cannot read the NATS server log; will retry');
      isUnreadable = true;
    }
    await sleep(POLL_INTERVAL_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}

/** Latin-1: one character per byte, whatever the content. */
async function read(handle: FileHandle, at: number, length: number): Promise<string> {
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, at);
  return buffer.toString('latin1', 0, bytesRead);
}

function parseKind(subject: string): string {
  const kind = subject.startsWith(`${PREFIX}.`) ? subject.split('.')[2] : undefined;
  return kind !== undefined && SUBJECT_KINDS.includes(kind) ? kind : 'other';
}
