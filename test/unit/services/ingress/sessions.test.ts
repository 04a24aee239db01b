import { describe, expect, it } from 'vitest';
import { Sessions } from '../../../../services/ingress/login/sessions.ts';

describe('a session of the status page', () => {
  it('is known to every ingress with the same password for 12 hours, and to no other', () => {
    let now = Date.UTC(2026, 10, 20);
    const [cookie = ''] = new Sessions('hash', () => now).start(false).split(';');
    const copy = new Sessions('hash', () => now);
    expect(copy.has(cookie)).toBe(true);
    expect(copy.has(`theme=dark; ${cookie}; other=1`)).toBe(true);
    expect(new Sessions('another hash', () => now).has(cookie)).toBe(false);
    now += 12 * 3_600_000 - 1000;
    expect(copy.has(cookie)).toBe(true);
    now += 1000;
    expect(copy.has(cookie)).toBe(false);
  });

  it('cannot be prolonged or made up', () => {
    const sessions = new Sessions('hash', () => 0);
    const [cookie = ''] = sessions.start(false).split(';');
    const [, signature = ''] = cookie.split('.');
    for (const made of [
      undefined,
      '',
      'baton-session=',
      `baton-session=99999999999.${signature}`,
      cookie.slice(0, -1),
      `x${cookie}`,
    ]) {
      expect(sessions.has(made)).toBe(false);
    }
  });
});
