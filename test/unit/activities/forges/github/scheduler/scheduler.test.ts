import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { JIT, noAnswer, RUNNER, RUNS, ScheduledForge, SharedLimits } from '../../../../../support/scheduled-forge.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-01-01T12:00:00Z') });
});
afterEach(() => {
  vi.useRealTimers();
});

const minutes = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * 60_000);
const seconds = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * 1000);
/** Runs what is due now. */
const now = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
const many = (count: number, call: () => Promise<unknown>): void => {
  for (let index = 0; index < count; index++) void call();
};

describe('the order of calls', () => {
  it('lets a registration overtake calls that came first and wait', async () => {
    const forge = new ScheduledForge(20);
    // Looking around may use 5 of 20 points.
    many(8, () => forge.call('GET', RUNS));
    await now();
    expect(forge.count('GET')).toBe(5);
    void forge.call('POST', JIT);
    await now();
    expect(forge.sent.at(-1)?.call).toContain('generate-jitconfig');
    expect(forge.scheduler.view().queues.background.waiting).toBe(3);
    await seconds(62);
    expect(forge.count('GET')).toBe(8);
  });

  it('sends a registration as soon as a slot is free, before all others that wait for one', async () => {
    const forge = new ScheduledForge(0);
    const answers: (() => void)[] = [];
    forge.answer = () => new Promise((resolve) => answers.push(() => resolve(new Response('{}'))));
    many(30, () => forge.call('DELETE', RUNNER));
    await now();
    // Removals leave slots to registrations.
    expect(forge.sent).toHaveLength(20);
    many(30, () => forge.call('POST', JIT));
    await now();
    expect(forge.count('POST')).toBe(10);
    answers[0]?.();
    await now();
    expect(forge.sent.at(-1)?.call).toContain('generate-jitconfig');
    expect(forge.sent).toHaveLength(31);
  });

  it('keeps room for removals while registrations use all they can get', async () => {
    const forge = new ScheduledForge(100);
    many(40, () => forge.call('POST', JIT));
    many(10, () => forge.call('DELETE', RUNNER));
    await now();
    expect(forge.count('DELETE')).toBe(2);
    expect(forge.count('POST')).toBe(18);
  });
});

describe('the points of a minute', () => {
  it('are used at once in a burst, and no more in any minute, over two processes', async () => {
    const limits = new SharedLimits();
    const forges = [new ScheduledForge(900, limits), new ScheduledForge(900, limits)];
    const asked = new AbortController();
    for (const forge of forges) many(300, () => forge.call('POST', JIT, asked.signal));
    await seconds(1);
    const sentAt = (): number[] => forges.flatMap(({ sent }) => sent.map(({ at }) => at)).sort((a, b) => a - b);
    expect(sentAt()).toHaveLength(180);
    // As the agents' next asks would: the patience of a call is a minute.
    await seconds(58);
    for (const forge of forges) many(300, () => forge.call('POST', JIT, asked.signal));
    await seconds(60);
    const all = sentAt();
    expect(all).toHaveLength(360);
    for (const from of all)
      expect(all.filter((at) => at >= from && at < from + 60_000).length).toBeLessThanOrEqual(180);
  });

  it('are not used by a call that nobody waits for any more: it is not sent', async () => {
    const forge = new ScheduledForge(5);
    await forge.call('POST', JIT);
    const asker = new AbortController();
    const given = forge.fail('POST', JIT, asker.signal);
    await seconds(20);
    asker.abort();
    expect(await given).toMatchObject({
      code: 'FORGE_RATE_LIMITED',
      details: { sent: false, retryAfterMs: expect.closeTo(41_500, -3) },
    });
    await minutes(2);
    expect(forge.sent).toHaveLength(1);
    expect(forge.scheduler.view().budget.getUsed().registration).toBe(0);
    expect(forge.results).toEqual(['ok', 'withdrawn']);
  });

  it('count a redirected call as two', async () => {
    const forge = new ScheduledForge(900);
    forge.answer = () => Object.defineProperty(new Response('{}'), 'redirected', { value: true });
    await forge.call('GET', RUNS);
    expect(forge.scheduler.view().budget.getUsed().background).toBe(2);
  });

  it('are refused with a time to a call whose patience ends first', async () => {
    const forge = new ScheduledForge(5);
    await forge.call('DELETE', RUNNER);
    await seconds(1);
    const [next, last] = [forge.call('DELETE', RUNNER), forge.fail('DELETE', RUNNER)];
    await seconds(76);
    expect(await next).toBe(200);
    expect(await last).toMatchObject({ code: 'FORGE_RATE_LIMITED', details: { sent: false } });
    expect(forge.sent).toHaveLength(2);
    expect(forge.results).toEqual(['ok', 'ok', 'expired']);
  });

  it('allow no more than 1,500 registrations in 5 minutes in a scope, whichever App makes them', async () => {
    const limits = new SharedLimits();
    const apps = [1, 2, 3, 4].map(
      () => new ScheduledForge(5000, Object.assign(new SharedLimits(), { scopes: limits.scopes })),
    );
    const sent = (): number => apps.reduce((sum, app) => sum + app.count('POST'), 0);
    const outlook = (): unknown => apps[0]?.scheduler.getRegistrationOutlook({ organization: 'Acme' });
    for (const app of apps) many(300, () => app.call('POST', JIT));
    await seconds(2);
    expect(sent()).toBe(1200);
    // What is left of the five minutes lowers no minute's rate: 1,200 were made in this one already, and would count twice.
    expect(outlook()).toEqual({ perMinute: 1000, perFiveMinutes: 1500, waitMs: 0, blocked: null });
    for (const app of apps) many(200, () => app.call('POST', JIT));
    await seconds(2);
    expect(sent()).toBe(1500);
    expect(outlook()).toEqual({
      perMinute: 1000,
      perFiveMinutes: 1500,
      waitMs: expect.closeTo(301_000, -4),
      blocked: null,
    });
    // Another scope has its own.
    void apps[0]?.call('POST', JIT.replace('acme', 'other'));
    await seconds(1);
    expect(sent()).toBe(1501);
  });
});

describe('an answer that a limit was reached', () => {
  const forms: [string, () => Response, number][] = [
    ['429 with retry-after', () => new Response('', { status: 429, headers: { 'retry-after': '7' } }), 7],
    ['403 with retry-after', () => new Response('', { status: 403, headers: { 'retry-after': '9' } }), 9],
    [
      '403 with nothing left',
      () => {
        const reset = String(Date.now() / 1000 + 20);
        return new Response('', { status: 403, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': reset } });
      },
      20,
    ],
    ['403 with today’s text', () => new Response('You have exceeded a secondary rate limit.', { status: 403 }), 60],
    ['403 with the older text', () => new Response('abuse detection mechanism', { status: 403 }), 60],
    ['429 without a word', () => new Response('', { status: 429 }), 60],
  ];
  it.each(forms)('as %s holds all processes back for %#, then the call is sent again', async (_form, answer, wait) => {
    const limits = new SharedLimits();
    const [one, two] = [new ScheduledForge(900, limits), new ScheduledForge(900, limits)];
    let limited = true;
    one.answer = () => (limited ? answer() : undefined);
    const first = one.call('POST', JIT);
    await now();
    limited = false;
    const second = two.call('DELETE', RUNNER);
    await seconds(wait - 1);
    expect([one.sent.length, two.sent.length]).toEqual([1, 0]);
    await seconds(3);
    expect(await Promise.all([first, second])).toEqual([200, 200]);
    expect(one.scheduler.getRegistrationOutlook({ organization: 'acme' }).blocked).toBeNull();
  });

  it('fails a call at once, with the time, where it holds for longer than the call’s patience', async () => {
    const forge = new ScheduledForge(900);
    forge.answer = () => new Response('', { status: 429, headers: { 'retry-after': '300' } });
    expect(await forge.call('DELETE', RUNNER)).toBe(429);
    expect(await forge.fail('DELETE', RUNNER)).toMatchObject({
      code: 'FORGE_RATE_LIMITED',
      message: expect.stringContaining('GitHub’s secondary rate limit until 12:05:00Z'),
      details: { sent: false, retryAfterMs: 300_000 },
    });
    expect(forge.scheduler.getRegistrationOutlook({ organization: 'acme' })).toEqual({
      perMinute: 180,
      perFiveMinutes: 1500,
      waitMs: 300_000,
      blocked: 'GitHub’s secondary rate limit until 12:05:00Z',
    });
    expect(forge.sent).toHaveLength(1);
  });

  it('is not a missing permission', async () => {
    const forge = new ScheduledForge(900);
    forge.answer = () => new Response('Resource not accessible by integration', { status: 403 });
    expect(await forge.call('DELETE', RUNNER)).toBe(403);
    expect(await forge.call('DELETE', RUNNER)).toBe(403);
  });
});

describe('a forge that does not answer', () => {
  it('is asked by one call at a time, ever more slowly, and by all as soon as it answers', async () => {
    const forge = new ScheduledForge(0);
    forge.answer = () => new Response('', { status: 502 });
    for (let call = 0; call < 3; call++) expect(await forge.call('POST', JIT)).toBe(502);
    expect(forge.scheduler.getRegistrationOutlook({ organization: 'acme' })).toMatchObject({
      waitMs: 2000,
      blocked: 'GitHub does not answer since 12:00:00Z',
    });
    const outlook = () => forge.scheduler.getRegistrationOutlook({ organization: 'acme' });
    await seconds(2);
    // One may try: nobody else would, and it would be blocked for ever.
    expect(outlook()).toEqual({ perMinute: 1, perFiveMinutes: null, waitMs: 0, blocked: null });
    many(10, () => forge.call('POST', JIT));
    await seconds(27);
    // After 2, 4, 8 and 16 seconds more.
    expect(forge.sent).toHaveLength(3 + 3);
    forge.answer = () => undefined;
    await seconds(3);
    expect(forge.sent).toHaveLength(3 + 3 + 7);
    expect(outlook()).toEqual({ perMinute: null, perFiveMinutes: null, waitMs: 0, blocked: null });
  });

  it('ends a registration after 30 seconds without an answer, and is asked only once for it', async () => {
    const forge = new ScheduledForge(0);
    forge.answer = noAnswer;
    const given = forge.fail('POST', JIT);
    // AbortSignal.timeout is a real timer.
    vi.useRealTimers();
    vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort(new DOMException('', 'TimeoutError')));
    expect(await Promise.race([given, forge.fail('POST', JIT)])).toMatchObject({
      code: 'FORGE_UNAVAILABLE',
      details: { sent: true },
      message: expect.stringContaining('no answer within 30 s'),
    });
    vi.restoreAllMocks();
  });

  it('gets reads and removals twice more, a change never', async () => {
    const forge = new ScheduledForge(0);
    forge.answer = () => new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') });
    const get = forge.fail('GET', RUNS);
    await seconds(20);
    expect(await get).toMatchObject({ code: 'FORGE_UNAVAILABLE', message: expect.stringContaining('ECONNREFUSED') });
    expect(forge.count('GET')).toBe(3);
    expect(await forge.call('POST', JIT)).toBe('FORGE_UNAVAILABLE');
    expect(forge.count('POST')).toBe(1);
  });

  it('has a sent registration’s answer waited for, though its asker is gone; a read is given up', async () => {
    const forge = new ScheduledForge(0);
    let answer: (response: Response) => void = () => undefined;
    forge.answer = () => new Promise((resolve) => (answer = resolve));
    const asker = new AbortController();
    const registration = forge.call('POST', JIT, asker.signal);
    await now();
    const read = forge.fail('GET', RUNS, asker.signal);
    const answerRegistration = answer;
    await now();
    asker.abort();
    await now();
    expect(await read).toMatchObject({ name: 'AbortError' });
    answerRegistration(new Response('{}', { status: 201 }));
    expect(await registration).toBe(201);
    expect(forge.results).toEqual(['abandoned', 'ok']);
  });
});
