import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { LRUCache } from 'lru-cache';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** Bytes of compressed answers that one client keeps. A list of 100 runs takes about 50 kB. */
const MAX_CACHE_BYTES = 32 * 1024 * 1024;

/** An answer that the forge confirms by 304. */
interface KeptAnswer {
  /** Compressed. */
  body: Buffer;
  headers: [string, string][];
  etag: string;
  /** Whether {@link hashAnswer} computes its ETag. */
  isHash: boolean;
  url: string;
}

/**
 * `fetch` that asks "has this changed?" when it reads an address again: with the ETag of the last answer. If the forge answers
 * 304, which costs nothing of its hourly limit, the caller gets the last answer as if it were new.
 *
 * GitHub's ETags depend on the token, and an App's token changes every hour. Where the ETag turns out to be the hash that
 * {@link hashAnswer} computes, it is computed again for the token in use; elsewhere, the first look with a new token costs.
 *
 * @param next sends the request; sees the 304
 * @see https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
 */
export function conditionalFetch(next: typeof fetch): typeof fetch {
  const cache = new LRUCache<string, KeptAnswer>({
    maxSize: MAX_CACHE_BYTES,
    sizeCalculation: ({ body }) => body.length + 1000,
  });
  return async (input, init) => {
    const address = input instanceof Request ? undefined : String(input);
    if (address === undefined || !isRepeated(address, init)) return await next(input, init);
    const headers = new Headers(init?.headers);
    const kept = cache.get(address);
    const known = kept === undefined ? undefined : await decompress(kept.body);
    if (kept !== undefined && known !== undefined) {
      const etag = kept.isHash ? kept.etag.replace(/"[^"]*"/, `"${hashAnswer(headers, known)}"`) : kept.etag;
      headers.set('if-none-match', etag);
    }
    const response = await next(input, { ...init, headers });
    if (response.status === 304 && kept !== undefined && known !== undefined) {
      // The 304's own headers carry the current limits; the others, such as `link`, are those of the kept answer.
      const merged = new Headers(kept.headers);
      for (const [name, value] of withoutLength(response.headers)) merged.set(name, value);
      return toResponse(known, merged, kept.url);
    }
    const etag = response.headers.get('etag');
    if (response.status !== 200 || etag === null) {
      if (response.status < 500) cache.delete(address);
      return response;
    }
    const body = Buffer.from(await response.arrayBuffer());
    const isHash = /"([^"]*)"/.exec(etag)?.[1] === hashAnswer(headers, body);
    const plain = withoutLength(response.headers);
    cache.set(address, { body: await compress(body), headers: plain, etag, isHash, url: response.url });
    return toResponse(body, new Headers(plain), response.url);
  };
}

/** What is asked about a single runner is not asked again. */
function isRepeated(address: string, init: RequestInit | undefined): boolean {
  return (init?.method ?? 'GET') === 'GET' && !new URL(address).searchParams.has('name');
}

/**
 * The hash that is the ETag of GitHub's answers: of some request headers and the answer's body. Not documented, so it is only used
 * where it matched the ETag of an answer; a wrong one could never match, and only cost the saving.
 *
 * @see https://github.com/bored-engineer/github-conditional-http-transport
 */
function hashAnswer(headers: Headers, body: Buffer): string {
  const hash = createHash('sha256');
  for (const name of ['accept', 'authorization', 'cookie']) {
    const value = headers.get(name);
    if (value !== null) hash.update(`${value}:`);
  }
  return hash.update(body).digest('hex');
}

/** The headers of an answer without those that describe how its body was sent. */
function withoutLength(headers: Headers): [string, string][] {
  return [...headers].filter(([name]) => !['content-length', 'content-encoding', 'transfer-encoding'].includes(name));
}

function toResponse(body: Buffer, headers: Headers, url: string): Response {
  const response = new Response(new Uint8Array(body), { status: 200, headers });
  // Octokit reads it; a constructed response has none.
  Object.defineProperty(response, 'url', { value: url });
  return response;
}
