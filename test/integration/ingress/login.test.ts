import { execFile, type ExecFileException } from 'node:child_process';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hashPassword, verifyPassword } from '../../../contracts/lib/password-hash.ts';
import { findBrowser, startBrowser } from '../../tools/pictures/browser.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { writeConfig } from '../../support/config.ts';
import { startNats, type TestNats } from '../../support/nats.ts';
import { startService, type TestService } from '../../support/service.ts';
import { until } from '../../support/until.ts';

const CLI = fileURLToPath(new URL('../../../services/cli/main.ts', import.meta.url));
const PASSWORD = 'correct horse battery staple';
const TOKEN = 'a-token-for-scrapers';
const HTML = { accept: 'text/html,*/*' };

const folder = temporaryFolder('login');
const started: TestService[] = [];
let nats: TestNats;
let hash = '';

beforeAll(async () => {
  nats = await startNats();
  hash = await hashPassword(PASSWORD);
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((service) => service.kill()));
});
afterAll(async () => {
  await nats?.stop();
  folder.remove();
});

interface IngressOptions {
  admin?: Record<string, unknown>;
  args?: string[];
  env?: Record<string, string>;
}

const LOGIN = { password_hash: '${PASSWORD_HASH}' };

async function startIngress({ admin = LOGIN, args = [], env = {} }: IngressOptions = {}): Promise<TestService> {
  const config = writeConfig(folder.path, {
    nats: nats.address,
    admin,
    ingress: { trusted_proxies: ['127.0.0.9'] },
  });
  const service = await startService('ingress', {
    config,
    args,
    env: { WEBHOOK_SECRET: 's', PASSWORD_HASH: hash, METRICS_TOKEN: TOKEN, ...env },
  });
  started.push(service);
  return service;
}

interface Answer {
  status: number;
  location: string | undefined;
  cookie: string | undefined;
  retryAfter: string | undefined;
}

/** One request, with any headers and from any address of 127.0.0.0/8. */
async function call(
  service: TestService,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; from?: string } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(service.adminAddress);
  const { method = 'GET', headers = {}, body, from = '127.0.0.1' } = options;
  const sending = httpRequest({ hostname, port, path, method, headers, localAddress: from, agent: false });
  sending.end(body);
  const [answer] = await once(sending, 'response');
  answer.destroy();
  const { location, 'set-cookie': cookies, 'retry-after': retryAfter } = answer.headers;
  return { status: answer.statusCode, location, cookie: cookies?.[0], retryAfter };
}

function signIn(
  service: TestService,
  password: string,
  more: { from?: string; headers?: Record<string, string> } = {},
) {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', ...more.headers };
  const body = new URLSearchParams({ password }).toString();
  return call(service, '/login', { ...more, method: 'POST', headers, body });
}

const PAGES = ['/status', '/status.json', '/status/events', '/metrics', '/', '/unknown'];

describe('the login of the status page', () => {
  it('guards all pages but probes, and opens them with the password', async () => {
    const ingress = await startIngress();
    for (const path of PAGES) {
      expect([path, (await call(ingress, path)).status]).toEqual([path, 401]);
      expect([path, await call(ingress, path, { headers: HTML })]).toEqual([
        path,
        expect.objectContaining({ status: 303, location: '/login' }),
      ]);
    }
    expect((await call(ingress, '/healthz')).status).toBe(200);
    expect((await call(ingress, '/login')).status).toBe(200);
    await until(async () => (await call(ingress, '/readyz')).status === 200);

    expect(await signIn(ingress, 'wrong')).toMatchObject({ status: 401, cookie: undefined });
    const { status, location, cookie = '' } = await signIn(ingress, PASSWORD);
    expect([status, location]).toEqual([303, '/status']);
    expect(cookie).toMatch(/^baton-session=\d+\.[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Lax$/);
    const session = { cookie: cookie.split(';')[0] ?? '' };
    expect((await call(ingress, '/status', { headers: session })).status).toBe(200);
    expect((await call(ingress, '/status/events', { headers: session })).status).toBe(200);
    expect((await call(ingress, '/metrics', { headers: session })).status).toBe(200);
    expect((await call(ingress, '/unknown', { headers: session })).status).toBe(404);
    const forged = { cookie: `baton-session=9999999999.${'A'.repeat(43)}` };
    expect((await call(ingress, '/status.json', { headers: forged })).status).toBe(401);
  });

  it('sets a cookie for HTTPS only where the browser came by HTTPS, which only a trusted proxy can say', async () => {
    const ingress = await startIngress();
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '192.0.2.1' };
    expect((await signIn(ingress, PASSWORD, { headers, from: '127.0.0.9' })).cookie).toMatch(/; Secure$/);
    expect((await signIn(ingress, PASSWORD, { headers, from: '127.0.0.8' })).cookie).not.toMatch(/Secure/);
  });

  it('takes five attempts of an address at once, and none for a while after that, right or wrong', async () => {
    const ingress = await startIngress();
    const attempts = await Promise.all(Array.from({ length: 5 }, () => signIn(ingress, 'wrong')));
    expect(attempts.map(({ status }) => status)).toEqual(attempts.map(() => 401));
    const refused = await signIn(ingress, PASSWORD);
    expect(refused).toMatchObject({ status: 429, cookie: undefined });
    expect(Number(refused.retryAfter)).toBeGreaterThan(0);
    expect((await signIn(ingress, PASSWORD, { from: '127.0.0.2' })).status).toBe(303);
  });

  it('lets a person in with the browser', async (context) => {
    context.skip(findBrowser() === undefined, 'no Chromium on PATH');
    const ingress = await startIngress();
    const browser = await startBrowser();
    try {
      const page = await browser.newPage();
      const url = `${ingress.adminAddress}/status`;
      // Chromium aborts requests when networks of containers come and go.
      await expect
        .poll(() =>
          page.goto(url).then(
            () => true,
            () => false,
          ),
        )
        .toBe(true);
      // The page's own policy lets its style apply.
      expect(await page.evaluate("getComputedStyle(document.querySelector('form')).display")).toBe('grid');
      const submit = (password: string, arrived: () => Promise<void>): Promise<void> =>
        until(async () => {
          await page.goto(`${ingress.adminAddress}/login`);
          await page.getByLabel('Password').fill(password);
          await page.getByRole('button', { name: 'Sign in' }).click();
          await arrived();
        });
      await submit('wrong', async () => {
        expect(await page.getByRole('alert').innerText({ timeout: 10_000 })).toBe('Wrong password.');
      });
      await submit(PASSWORD, () => page.waitForURL(url, { timeout: 10_000 }));
      // The page has its events: it knows that no orchestrator runs here.
      await expect.poll(() => page.locator('#problem').innerText()).toContain('orchestrator');
    } finally {
      await browser.close();
    }
  });

  it('is off by default on a loopback address; elsewhere the log warns at the start', async () => {
    const warnings = (service: TestService) =>
      service.log.filter(({ msg = '' }) => msg.includes('admin.password_hash'));
    const open = await startIngress({ admin: {} });
    expect((await call(open, '/status')).status).toBe(200);
    expect(warnings(open)).toEqual([]);
    expect(warnings(await startIngress({ admin: {}, args: ['--admin-host', '0.0.0.0'] }))).toHaveLength(1);
    expect(warnings(await startIngress({ args: ['--admin-host', '0.0.0.0'] }))).toEqual([]);
  });

  it('needs a hash that baton setup password has printed', async () => {
    await expect(startIngress({ env: { PASSWORD_HASH: PASSWORD } })).rejects.toThrow('SECRET_INVALID');
  });
});

describe('the bearer token of /metrics', () => {
  it('opens it for scrapers, with or without a login for people', async () => {
    for (const admin of [{ ...LOGIN, metrics_token: '${METRICS_TOKEN}' }, { metrics_token: '${METRICS_TOKEN}' }]) {
      const ingress = await startIngress({ admin });
      expect((await call(ingress, '/metrics')).status).toBe(401);
      expect((await call(ingress, '/metrics', { headers: { authorization: 'Bearer wrong' } })).status).toBe(401);
      expect((await call(ingress, '/metrics', { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(200);
      const headers = { authorization: `Bearer ${TOKEN}` };
      expect((await call(ingress, '/status', { headers })).status).toBe('password_hash' in admin ? 401 : 200);
    }
  });
});

describe('the name under which a browser opens a loopback address', () => {
  it('is localhost, an address or a configured one: no web page can make it its own', async () => {
    const ingress = await startIngress({ admin: { hosts: ['status.example.org'] } });
    const statusFor = async (host: string, path = '/status') =>
      (await call(ingress, path, { headers: { host } })).status;
    for (const host of ['attacker.example', 'attacker.example:8081', 'localhost.attacker.example']) {
      expect([host, await statusFor(host)]).toEqual([host, 421]);
      expect([host, await statusFor(host, '/metrics')]).toEqual([host, 421]);
    }
    for (const host of ['127.0.0.1:8081', 'localhost:8081', '[::1]:8081', 'status.example.org', 'STATUS.example.org']) {
      expect([host, await statusFor(host)]).toEqual([host, 200]);
    }
    expect(await statusFor('attacker.example', '/healthz')).toBe(200);
  });
});

describe('baton setup password', () => {
  function run(args: string[], input = ''): Promise<{ error: ExecFileException | null; stdout: string }> {
    return new Promise((resolve) => {
      const child = execFile(process.execPath, [CLI, 'setup', 'password', ...args], (error, stdout) =>
        resolve({ error, stdout }),
      );
      child.stdin?.end(input);
    });
  }

  it('prints a new password and its hash, or the hash of your own', async () => {
    const { stdout } = await run([]);
    const [, password = ''] = /^password: (\S{24})$/m.exec(stdout) ?? [];
    const [, made = ''] = /^BATON_STATUS_PASSWORD_HASH=(\S+)$/m.exec(stdout) ?? [];
    expect(await verifyPassword(password, made)).toBe(true);
    expect(made).not.toContain('$');
    const own = await run(['--stdin'], `${PASSWORD}\n`);
    const [, ownHash = ''] = /^BATON_STATUS_PASSWORD_HASH=(\S+)$/m.exec(own.stdout) ?? [];
    expect(await verifyPassword(PASSWORD, ownHash)).toBe(true);
    expect(own.stdout).not.toContain(PASSWORD);
    expect((await run(['--stdin'], 'short\n')).error?.code).toBe(1);
  });
});
