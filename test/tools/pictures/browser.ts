import { chromium, type Browser, type Page } from 'playwright-core';
import { findProgram } from '../../../hooks/job-hooks/wrappers/find-program.ts';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];

/** Nothing that asks the network for more than the page: pictures are of this machine alone. */
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

/** Starts the machine's own Chromium, with a profile of its own. @throws Error where there is none on PATH */
export async function startBrowser(): Promise<Browser> {
  const executablePath = findBrowser();
  if (executablePath === undefined) {
    throw new Error(`pictures need a Chromium, and there is none of ${PROGRAMS.join(', ')} on PATH: install one`);
  }
  return await chromium.launch({ executablePath, args: FLAGS });
}

const ATTEMPTS = 5;

/**
 * Writes a picture (PNG, 1280 pixels wide unless `show` changes that) of a page of its own, once `show` has brought it to
 * what shall be seen.
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
    // Chromium gives up all requests, local ones too, whenever a network comes or goes: those of containers do.
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

/** The machine's own Chromium, where it has one. */
export function findBrowser(): string | undefined {
  return PROGRAMS.map((program) => findProgram(program, process.env['PATH'])).find((file) => file !== undefined);
}
