import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Bus } from '../../../contracts/lib/nats.ts';
import type { Status } from '../../../contracts/messages/status.ts';
import type { TestService } from '../../support/service.ts';
import { sampleStatus } from '../../support/sample-status.ts';
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

  it('close the event streams of open pages on SIGTERM', async () => {
    const enough = new AbortController();
    let stopped: Promise<number | null> | undefined;
    // The loop ends when the server closes the connection.
    for await (const view of events(enough.signal)) {
      expect(view).toHaveProperty('status');
      stopped ??= ingress.stop();
    }
    const began = Date.now();
    expect(await stopped).toBe(0);
    expect(Date.now() - began).toBeLessThan(5000);
  });
});
