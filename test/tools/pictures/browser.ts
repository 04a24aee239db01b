import { chromium, type Browser, type Page } from 'playwright-core';
import { findProgram } from '../../../hooks/job-hooks/wrappers/find-program.ts';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];

/** Without these, Chromium sends requests of its own, and pictures would depend on the network. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts this machine's Chromium, with a new profile. @throws Error without a Chromium on PATH */
export async function startBrowser(): Promise<Browser> {
  const executablePath = findBrowser();
  if (executablePath === undefined) {
    throw new Error(`taking pictures: none of ${PROGRAMS.join(', ')} is on PATH. Install Chromium.`);
  }
  return await chromium.launch({ executablePath, args: FLAGS });
}

const ATTEMPTS = 5;

/**
 * Writes a picture of a new page (PNG, 1280 pixels wide unless `show` changes that), after `show` has brought the page into the
 * wanted state.
 */
export async function takePicture(browser: Browser, path: string, show: (page: Page) => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      deviceScaleFactor: 1,
      colorScheme: 'light',
      locale: 'en-US',
      timezoneId: 'UTC',
    });
    const page = await context.newPage();
    // Chromium aborts all requests, also local ones, when a network appears or disappears, as those of containers do.
    let networkChanged = false;
    page.on('requestfailed', (request) => {
      if (request.failure()?.errorText !== 'net::ERR_NETWORK_CHANGED') return;
      networkChanged = true;
      page.close().catch(() => undefined);
    });
    try {
      await show(page);
      await page.evaluate('document.fonts.ready.then(() => undefined)');
      await page.screenshot({ path, animations: 'disabled' });
      return;
    } catch (error) {
      if (!networkChanged || attempt === ATTEMPTS) throw error;
    } finally {
      await context.close();
    }
  }
}

/** The path of this machine's Chromium, if it has one. */
export function findBrowser(): string | undefined {
  return PROGRAMS.map((program) => findProgram(program, process.env['PATH'])).find((file) => file !== undefined);
}
