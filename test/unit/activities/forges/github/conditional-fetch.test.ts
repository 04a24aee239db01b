import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { conditionalFetch } from '../../../../../activities/forges/github/conditional-fetch.ts';

const URL_OF_RUNS = 'https://api.github.test/repos/acme/hello/actions/runs?per_page=100';

interface Seen {
  method: string;
  ifNoneMatch: string | null;
  status: number;
}

type ToEtag = (body: string, headers: Headers) => string | undefined;

const hashAnswer: ToEtag = (body, headers) => {
  const parts = [headers.get('accept'), headers.get('authorization')].filter((part) => part !== null);
  return `W/"${createHash('sha256')
    .update([...parts, body].join(':'))
    .digest('hex')}"`;
};

/** A forge whose answers have an ETag that depends on the body and, as GitHub's do, on the token. */
class FakeForge {
  body = '{"total_count":0}';
  readonly seen: Seen[] = [];
  remaining = 5000;
  readonly #toEtag: ToEtag;

  constructor(toEtag: ToEtag = hashAnswer) {
    this.#toEtag = toEtag;
  }

  readonly fetch: typeof fetch = (_input, init) => {
    const headers = new Headers(init?.headers);
    const etag = this.#toEtag(this.body, headers);
    const ifNoneMatch = headers.get('if-none-match');
    const status = ifNoneMatch !== null && ifNoneMatch === etag ? 304 : 200;
    if (status === 200) this.remaining -= 1;
    this.seen.push({ method: init?.method ?? 'GET', ifNoneMatch, status });
    const answer = new Headers({ 'x-ratelimit-remaining': String(this.remaining) });
    if (etag !== undefined) answer.set('etag', etag);
    if (status === 200) answer.set('content-type', 'application/json');
    if (status === 200) answer.set('link', '<https://api.github.test/next>; rel="next"');
    return Promise.resolve(new Response(status === 304 ? null : this.body, { status, headers: answer }));
  };
}

const ask = (send: typeof fetch, token = 'first', url = URL_OF_RUNS): Promise<Response> =>
  send(url, { method: 'GET', headers: { accept: 'application/json', authorization: `token ${token}` } });

describe('an address that is read again', () => {
  it('has its last body, its links and the current limits when the forge answers 304', async () => {
    const forge = new FakeForge();
    const send = conditionalFetch(forge.fetch);
    await ask(send);
    const again = await ask(send);
    expect(forge.seen.map(({ status }) => status)).toEqual([200, 304]);
    expect(again.status).toBe(200);
    expect(await again.json()).toEqual({ total_count: 0 });
    expect(again.headers.get('link')).toContain('rel="next"');
    expect(again.headers.get('content-type')).toBe('application/json');
    expect(again.headers.get('x-ratelimit-remaining')).toBe('4999');
  });

  it('has its new body when it has changed', async () => {
    const forge = new FakeForge();
    const send = conditionalFetch(forge.fetch);
    await ask(send);
    forge.body = '{"total_count":1}';
    expect(await (await ask(send)).json()).toEqual({ total_count: 1 });
    expect(await (await ask(send)).json()).toEqual({ total_count: 1 });
    expect(forge.seen.map(({ status }) => status)).toEqual([200, 200, 304]);
  });

  it('costs nothing with the next token of the same App', async () => {
    const forge = new FakeForge();
    const send = conditionalFetch(forge.fetch);
    await ask(send, 'first');
    expect(await (await ask(send, 'second')).json()).toEqual({ total_count: 0 });
    expect(forge.seen.map(({ status }) => status)).toEqual([200, 304]);
  });

  it('is asked for with the ETag as it came where that is no hash of ours', async () => {
    const forge = new FakeForge((body) => `"version-${body.length}"`);
    const send = conditionalFetch(forge.fetch);
    await ask(send, 'first');
    expect(await (await ask(send, 'second')).json()).toEqual({ total_count: 0 });
    expect(forge.seen[1]).toMatchObject({ ifNoneMatch: '"version-17"', status: 304 });
  });

  it('is read in full where the forge sends no ETag', async () => {
    const forge = new FakeForge(() => undefined);
    const send = conditionalFetch(forge.fetch);
    await ask(send);
    expect(await (await ask(send)).json()).toEqual({ total_count: 0 });
    expect(forge.seen.map(({ ifNoneMatch }) => ifNoneMatch)).toEqual([null, null]);
  });
});

describe('a request that is sent as it is', () => {
  it.each([
    ['changes something', { method: 'POST' }, URL_OF_RUNS],
    ['is about a single runner', {}, 'https://api.github.test/orgs/acme/actions/runners?name=r1'],
  ])('%s', async (_what, init, url) => {
    const forge = new FakeForge();
    const send = conditionalFetch(forge.fetch);
    for (let count = 0; count < 2; count++) expect((await send(url, init)).status).toBe(200);
    expect(forge.seen.map(({ ifNoneMatch }) => ifNoneMatch)).toEqual([null, null]);
  });
});
