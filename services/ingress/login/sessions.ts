import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

const LIFETIME_S = 12 * 3600;
const COOKIE = 'baton-session';
const COOKIE_VALUE = /(?:^|;\s*)baton-session=(\d{1,12})\.([\w-]{43})(?:;|$)/;

/**
 * Sessions of the status page: a cookie with its end and a signature, so that every ingress knows it and none stores it. The key
 * comes from the password's hash: a new password ends all sessions.
 */
export class Sessions {
  readonly #key: Buffer;
  readonly #now: () => number;

  /** @param now milliseconds */
  constructor(passwordHash: string, now: () => number = Date.now) {
    this.#key = Buffer.from(hkdfSync('sha256', passwordHash, '', 'baton status page sessions', 32));
    this.#now = now;
  }

  /** The `Set-Cookie` of a new session. @param secure whether the browser came by HTTPS */
  start(secure: boolean): string {
    const expires = String(Math.floor(this.#now() / 1000) + LIFETIME_S);
    const value = `${expires}.${this.#sign(expires).toString('base64url')}`;
    const attributes = [`${COOKIE}=${value}`, 'Path=/', `Max-Age=${LIFETIME_S}`, 'HttpOnly', 'SameSite=Lax'];
    return [...attributes, ...(secure ? ['Secure'] : [])].join('; ');
  }

  /** Whether a `Cookie` header has a session that has not expired. */
  has(cookies: string | undefined): boolean {
    const [, expires = '', signature = ''] = COOKIE_VALUE.exec(cookies ?? '') ?? [];
    if (signature === '') return false;
    const isSigned = timingSafeEqual(Buffer.from(signature, 'base64url'), this.#sign(expires));
    return isSigned && Number(expires) * 1000 > this.#now();
  }

  #sign(expires: string): Buffer {
    return createHmac('sha256', this.#key).update(expires).digest();
  }
}
