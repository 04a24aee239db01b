import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Counter } from 'prom-client';
import { z } from 'zod';
import { BatonError } from '../../../contracts/errors.ts';
import type { SecretRef } from '../../../contracts/config/secret.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { readSecret } from '../../../contracts/lib/read-secret.ts';
import { isPasswordHash, verifyPassword } from '../../../contracts/lib/password-hash.ts';
import { toCallerAddress } from '../caller-address.ts';
import { toHttpError } from '../http-error.ts';
import { TokenBuckets } from '../token-buckets.ts';
import { buildLoginPage, LOGIN_POLICY } from './page.ts';
import { Sessions } from './sessions.ts';

const MAX_FORM_BYTES = 4096;
/** Attempts of one address, and of all together: each takes 32 MiB and 0.1 s of a processor. */
const CALLER_LIMITS = { perSecond: 1 / 30, burst: 5 };
const TOTAL_LIMITS = { perSecond: 1, burst: 20 };

/** What needs no login: the login itself, and probes, which show no names. */
const OPEN_ROUTES = new Set(['/login', '/healthz', '/readyz']);

const form = z.object({ password: z.string().min(1).max(1000) });

export interface LoginOptions {
  /** As `baton setup password` prints it. */
  passwordHash: string;
  /** Whether a bearer token guards `/metrics`, instead of the login. */
  hasMetricsToken: boolean;
  logins: Counter<'result'>;
  log: Logger;
}

/**
 * Makes all pages of the admin server ask for the password once in 12 hours, but for probes. `GET /login` is a form, `POST /login` takes it.
 */
export function addLogin(http: FastifyInstance, { passwordHash, hasMetricsToken, logins, log }: LoginOptions): void {
  const sessions = new Sessions(passwordHash);
  const perCaller = new TokenBuckets(CALLER_LIMITS);
  const total = new TokenBuckets(TOTAL_LIMITS);

  http.addHook('onRequest', requireSession);
  http.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: MAX_FORM_BYTES },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
  http.get('/login', (_request, reply) => sendPage(reply.code(200)));
  http.post('/login', (request, reply) => signIn(request, reply));

  async function requireSession(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const route = request.routeOptions.url ?? '';
    if (OPEN_ROUTES.has(route) || (route === '/metrics' && hasMetricsToken)) return undefined;
    if (sessions.has(request.headers.cookie)) return undefined;
    if (request.method === 'GET' && request.headers.accept?.includes('text/html') === true) {
      return reply.redirect('/login', 303);
    }
    const { status, body } = toHttpError(
      new BatonError('LOGIN_REQUIRED', `serving ${request.method} ${request.url.slice(0, 100)}: not signed in`),
    );
    return reply.code(status).send(body);
  }

  async function signIn(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const caller = toCallerAddress(request.ip);
    const retryAfterS = perCaller.take(caller) || total.take('all');
    if (retryAfterS > 0) {
      logins.inc({ result: 'limited' });
      return sendPage(reply.code(429).header('retry-after', String(retryAfterS)), 'Too many attempts. Wait a minute.');
    }
    const parsed = form.safeParse(request.body);
    if (!parsed.success || !(await verifyPassword(parsed.data.password, passwordHash))) {
      logins.inc({ result: 'wrong' });
      log.warn({ caller }, 'wrong password for the status page');
      return sendPage(reply.code(401), 'Wrong password.');
    }
    logins.inc({ result: 'ok' });
    return reply.header('set-cookie', sessions.start(isSecure(request))).redirect('/status', 303);
  }
}

/** @throws BatonError SECRET_MISSING, SECRET_INVALID */
export function readPasswordHash(ref: SecretRef): string {
  const hash = readSecret(ref);
  if (isPasswordHash(hash)) return hash;
  throw new BatonError('SECRET_INVALID', `reading ${ref.env}: it is not what \`baton setup password\` prints`);
}

function sendPage(reply: FastifyReply, problem?: string): FastifyReply {
  return reply
    .headers({
      'content-security-policy': LOGIN_POLICY,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    })
    .type('text/html; charset=utf-8')
    .send(buildLoginPage(problem));
}

/** By HTTPS, also where a trusted reverse proxy ends it. */
function isSecure(request: FastifyRequest): boolean {
  return request.protocol === 'https';
}
