import { describe, expect, it } from 'vitest';
import { BodyQuota } from '../../../../services/ingress/body-quota.ts';

describe('the quota of bodies', () => {
  it('refuses more than one caller’s share with TOO_MANY_REQUESTS, and leaves the rest to others', () => {
    const quota = new BodyQuota({ perCaller: 10, total: 25 });
    quota.take('a', 10);
    expect(() => quota.take('a', 1)).toThrow(expect.objectContaining({ code: 'TOO_MANY_REQUESTS' }));
    quota.take('b', 10);
    expect(quota.held).toBe(20);
  });

  it('refuses more than all together may hold with OVERLOADED, until bytes are given back', () => {
    const quota = new BodyQuota({ perCaller: 10, total: 25 });
    for (const caller of ['a', 'b']) quota.take(caller, 10);
    expect(() => quota.take('c', 6)).toThrow(
      expect.objectContaining({ code: 'OVERLOADED', details: { retryAfterS: expect.any(Number) } }),
    );
    quota.release('a', 10);
    quota.take('c', 6);
    quota.take('a', 9);
    expect(quota.held).toBe(25);
  });
});
