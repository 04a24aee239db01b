import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import type { ServerPlan } from './catalog.ts';

/** In a closed network, the next way is tried after this time. */
const CONNECT_TIMEOUT_MS = 5000;
/** A download that receives no data for this long is given up. */
const STALL_TIMEOUT_MS = 30_000;

/**
 * Downloads the vendor's archive, checks its SHA-256 and writes the program to `target` (mode 0755).
 *
 * @param progress called with the bytes received and, where it is known, their total
 * @throws Error naming the address that didn't answer, or whose SHA-256 differs
 */
export async function downloadServer(
  plan: ServerPlan,
  target: string,
  progress: (bytes: number, total: number | undefined) => void,
): Promise<void> {
  const expected = plan.sha256 ?? (await fetchPublishedSum(plan));
  const archive = `${target}.tar.gz`;
  const actual = await download(plan.archiveUrl, archive, progress);
  if (actual !== expected) throw new Error(`${plan.archiveUrl} has SHA-256 ${actual}, expected ${expected}`);
  await unpack(archive, plan.name, target);
}

async function openDownload(url: string): Promise<{ response: Response; keepAlive: () => void; done: () => void }> {
  const abort = new AbortController();
  let timer = setTimeout(
    () => abort.abort(new Error(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`)),
    CONNECT_TIMEOUT_MS,
  );
  const keepAlive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(new Error(`no data for ${STALL_TIMEOUT_MS / 1000} s`)), STALL_TIMEOUT_MS);
  };
  try {
    const response = await fetch(url, { signal: abort.signal });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    keepAlive();
    return { response, keepAlive, done: () => clearTimeout(timer) };
  } catch (error) {
    clearTimeout(timer);
    throw new Error(`${url}: ${findReason(error)}`, { cause: error });
  }
}

/** The message `fetch failed` says nothing; that of its cause does. */
function findReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

async function fetchPublishedSum(plan: ServerPlan): Promise<string> {
  const { response, done } = await openDownload(plan.sumsUrl);
  const text = await response.text().finally(done);
  const file = plan.archiveUrl.split('/').at(-1);
  const line = text.split('\n').find((line) => line.trim().split(/\s+/)[1]?.replace(/^\*/, '') === file);
  const sum = line?.trim().split(/\s+/)[0];
  if (sum === undefined || !/^[0-9a-f]{64}$/.test(sum)) throw new Error(`${plan.sumsUrl} does not name ${file}`);
  return sum;
}

async function download(
  url: string,
  file: string,
  progress: (bytes: number, total: number | undefined) => void,
): Promise<string> {
  const { response, keepAlive, done } = await openDownload(url);
  const total = Number(response.headers.get('content-length')) || undefined;
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    if (response.body === null) throw new Error(`${url}: no content`);
    await pipeline(
      response.body,
      async function* count(chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          keepAlive();
          hash.update(chunk);
          bytes += chunk.length;
          progress(bytes, total);
          yield chunk;
        }
      },
      createWriteStream(file),
    );
  } finally {
    done();
  }
  return hash.digest('hex');
}

async function unpack(archive: string, program: string, target: string): Promise<void> {
  const entries = extract();
  let found = false;
  const writing = (async () => {
    for await (const entry of entries) {
      if (entry.header.type === 'file' && entry.header.name.split('/').at(-1) === program) {
        found = true;
        await pipeline(entry, createWriteStream(target, { mode: 0o755 }));
      } else {
        entry.resume();
      }
    }
  })();
  await Promise.all([pipeline(createReadStream(archive), createGunzip(), entries), writing]);
  if (!found) throw new Error(`${archive} contains no ${program}`);
}
