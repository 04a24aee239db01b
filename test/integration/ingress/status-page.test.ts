import { get, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Browser, Page } from 'playwright-core';
import type { ForgeLimit, Status } from '../../../contracts/messages/status.ts';
import { findBrowser, startBrowser } from '../../tools/pictures/browser.ts';
import { sampleStatus } from '../../support/sample-status.ts';
import { until } from '../../support/until.ts';
import { startStatusFixture, type StatusFixture } from '../../support/status-feed.ts';

/** The status page in a real browser. */
const found = findBrowser() !== undefined;
let fixture: StatusFixture;
let browser: Browser;
let status: Status = sampleStatus({});

beforeAll(async () => {
  if (!found) return;
  fixture = await startStatusFixture('status-page');
  fixture.respond(() => status);
  browser = await startBrowser();
});
beforeEach((context) => context.skip(!found, 'no Chromium on PATH'));
afterAll(async () => {
  await browser?.close();
  await fixture?.stop();
});

/** Retries, because Chromium aborts all requests when a network appears or disappears, as those of containers do. */
async function openPage(): Promise<Page> {
  const page = await browser.newPage();
  const go = (): Promise<boolean> =>
    page.goto(`${fixture.ingress.adminAddress}/status`).then(() => true, isNetworkChange);
  await expect.poll(go).toBe(true);
  return page;
}

function isNetworkChange(error: unknown): boolean {
  if (error instanceof Error && error.message.includes('ERR_NETWORK_CHANGED')) return false;
  throw error;
}

describe('the status page', () => {
  it('shows each job’s name, a link to it, and the resources that it used', async () => {
    const page = await openPage();
    const busy = page.locator('tr', { hasText: 'busy' }).first();
    await expect.poll(() => busy.locator('.job').innerText()).toMatch(/^octo-org\/octo-repo · CI \/ test \(\w+\)$/);
    expect(await busy.locator('.job a').getAttribute('href')).toMatch(
      /^https:.*\/octo-repo\/actions\/runs\/1\/job\/\d+$/,
    );
    expect(await page.locator('tr.ended .used').first().innerText()).toContain('memory 1.2 GB');
    expect(await page.locator('#forge').innerText()).toBe('');
    await page.close();
  });

  it('shows how many runners of a group the forge’s limits hold back', async () => {
    const page = await openPage();
    const sample = sampleStatus({});
    const pace = { heldBack: 380, until: sample.at, perMinute: 180, reason: 'GitHub lets 180 a minute register' };
    status = { ...sample, groups: sample.groups.map((group) => ({ ...group, busy: 100, ready: 20, pace })) };
    await expect
      .poll(() => page.locator('.notes').first().innerText())
      .toContain('120 of 500 started; GitHub lets 180 a minute register');
    await page.close();
  });

  it('shows when the forge blocks requests, and never renders a job’s name as HTML', async () => {
    const page = await openPage();
    await page.locator('#rows tr').first().waitFor();
    const sample = sampleStatus({});
    const [first, ...others] = sample.runners.map((runner) => ({ ...runner, job: '<img src=x onerror=alert(1)>' }));
    const limit: ForgeLimit = {
      name: 'app-1',
      waiting: 3,
      limit: 5000,
      remaining: 0,
      resetAt: null,
      blockedUntil: new Date(Date.now() + 600_000).toISOString(),
      blockedBy: 'GitHub’s secondary rate limit until 12:03:44Z',
      pointsPerMinute: 900,
      maxInFlight: 30,
      calls: [
        { priority: 'registration', waiting: 3, longestWaitMs: 62_000, inFlight: 2, pointsUsed: 805 },
        { priority: 'removal', waiting: 0, longestWaitMs: 0, inFlight: 0, pointsUsed: 20 },
      ],
    };
    if (first === undefined) throw new Error('the sample has no runner');
    status = {
      ...sample,
      runners: [{ ...first, repository: 'octo-org/octo-repo', closedAt: null }, ...others],
      forge: [limit],
    };
    await expect
      .poll(() => page.locator('#forge').innerText())
      .toBe(
        'app-1: GitHub’s secondary rate limit until 12:03:44Z; 3 registrations wait, the longest for 1m 2s; ' +
          '2 of 30 requests at once; 825 of 900 points in the last minute (registration 805, removal 20); 0 of 5000 left this hour',
      );
    expect(await page.locator('#rows').innerText()).toContain('<img src=x');
    expect(await page.locator('#rows img').count()).toBe(0);
    await page.close();
  });

  it('polls, and says so, while too many pages of its address are open', async () => {
    status = sampleStatus({});
    const open = (): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        get(`${fixture.ingress.adminAddress}/status/events`, { agent: false }, resolve).on('error', reject);
      });
    // Those of the tests before are closed, which the server may not have seen yet.
    await until(async () => (await fixture.ingress.metric('baton_status_viewers')) === 0);
    const others = await Promise.all(Array.from({ length: 20 }, open));
    for (const other of others) other.resume();
    expect(others.map(({ statusCode }) => statusCode)).toEqual(others.map(() => 200));
    const page = await openPage();
    await expect.poll(() => page.locator('#fresh-text').innerText()).toContain('too many pages are open: every 10s');
    expect(await page.locator('#rows tr').count()).toBeGreaterThan(0);
    expect(await page.locator('#problem').isVisible()).toBe(false);
    // It gets events as soon as there is room.
    for (const other of others) other.destroy();
    await expect.poll(() => page.locator('#fresh-text').innerText(), { timeout: 30_000 }).not.toContain('too many');
    await page.close();
  });
});
