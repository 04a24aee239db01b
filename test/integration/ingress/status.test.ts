import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Bus } from '../../../contracts/lib/nats.ts';
import type { Status } from '../../../contracts/messages/status.ts';
import type { TestService } from '../../support/service.ts';
import { sampleStatus } from '../../support/sample-status.ts';
import { until } from '../../support/until.ts';
import { startStatusFixture, type StatusFixture } from '../../support/status-feed.ts';

let fixture: StatusFixture;
let ingress: TestService;
let bus: Bus;
let silence: (() => void) | undefined;
let asked = 0;

beforeAll(async () => {
  fixture = await startStatusFixture('status');
  ({ ingress, bus } = fixture);
});

afterAll(() => fixture?.stop());

function respond(answer: () => Status): void {
  silence = fixture.respond(() => {
    asked += 1;
    return answer();
  });
}

/** The views that `/status/events` sends, parsed. */
async function* events(signal: AbortSignal): AsyncGenerator<{ problem: string | null; status: Status | null }> {
  const response = await fetch(`${ingress.adminAddress}/status/events`, { signal });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (block.startsWith('event: status') && data !== undefined) yield JSON.parse(data);
    }
  }
}

describe('the status page’s routes', () => {
  it('answer /status.json with 503 and the problem while the orchestrator does not answer', async () => {
    const response = await fetch(`${ingress.adminAddress}/status.json`);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ problem: 'the orchestrator does not answer', status: null });
  });

  it('send every change to all viewers, with at most one request a second to the orchestrator', async () => {
    let waiting = 1;
    respond(() => sampleStatus({ waiting }));
    const enough = new AbortController();
    const before = asked;
    const began = Date.now();
    const viewers = Array.from({ length: 5 }, async () => {
      const seen: number[] = [];
      for await (const view of events(enough.signal)) {
        if (view.status === null) continue;
        seen.push(view.status.groups[0]?.waiting ?? -1);
        if (seen.length === 1) waiting = 7;
        if (seen.at(-1) === 7) return seen;
      }
      return seen;
    });
    const seen = await Promise.all(viewers);
    const seconds = (Date.now() - began) / 1000;
    enough.abort();
    for (const one of seen) expect(one.at(-1)).toBe(7);
    expect(asked - before).toBeLessThanOrEqual(Math.ceil(seconds) + 1);

    const response = await fetch(`${ingress.adminAddress}/status.json`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ problem: null, status: { installation: 'runner-manager' } });
  });

  it('send the last status with the problem when the orchestrator stops answering', async () => {
    const enough = new AbortController();
    silence?.();
    await bus.flush();
    for await (const view of events(enough.signal)) {
      if (view.problem === null) continue;
      expect(view.problem).toBe('the orchestrator does not answer');
      expect(view.status?.groups[0]?.waiting).toBe(7);
      break;
    }
    enough.abort();
  });

  it('serve the page as one document that loads nothing else', async () => {
    const root = await fetch(`${ingress.adminAddress}/`, { redirect: 'manual' });
    expect([root.status, root.headers.get('location')]).toEqual([302, '/status']);
    const response = await fetch(`${ingress.adminAddress}/status`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    const html = await response.text();
    expect(html).not.toMatch(/<script[^>]+src=|<link[^>]+stylesheet|@import|url\(/);
  });

  it('refuse the 21st open page of an address with 429, and say so; one of another address gets its events', async () => {
    silence = fixture.respond(() => sampleStatus({}));
    const open = (localAddress: string) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        get(`${ingress.adminAddress}/status/events`, { localAddress, agent: false }, resolve).on('error', reject);
      });
    const pages = await Promise.all(Array.from({ length: 20 }, () => open('127.0.0.5')));
    expect(pages.map(({ statusCode }) => statusCode)).toEqual(pages.map(() => 200));
    const refused = await open('127.0.0.5');
    expect(refused.statusCode).toBe(429);
    expect(refused.headers['retry-after']).toBe('10');
    expect(await text(refused)).toContain('already has 20 open status pages');
    expect(await ingress.metric('baton_status_viewers_refused_total')).toBe(1);
    const other = await open('127.0.0.6');
    expect(other.statusCode).toBe(200);
    // A closed page makes room.
    for (const page of [...pages.slice(1), other]) page.destroy();
    await until(async () => (await ingress.metric('baton_status_viewers')) === 1);
    const again = await open('127.0.0.5');
    expect(again.statusCode).toBe(200);
    for (const page of [pages[0], again]) page?.destroy();
    silence();
  });

  it('close the event streams of open pages on SIGTERM', async () => {
    const enough = new AbortController();
    let stopped: Promise<number | null> | undefined;
    // The loop ends when the server closes the connection.
    for await (const view of events(enough.signal)) {
      expect(view).toHaveProperty('status');
      stopped ??= ingress.stop();
    }
    // Its guard would have killed it after 40 s.
    expect(await stopped).toBe(0);
  });
});
