import { describe, expect, it } from 'vitest';
import { TokenBuckets } from '../../../../services/ingress/token-buckets.ts';

describe('token buckets', () => {
  it('give each caller its burst, then as many as time has brought', () => {
    let now = 0;
    const buckets = new TokenBuckets({ perSecond: 2, burst: 3 }, () => now);
    expect([1, 2, 3].map(() => buckets.take('a'))).toEqual([0, 0, 0]);
    expect(buckets.take('a')).toBe(1);
    expect(buckets.take('b')).toBe(0);
    now = 500;
    expect([buckets.take('a'), buckets.take('a')]).toEqual([0, 1]);
    // A pause fills it, but not beyond the burst.
    now = 60_000;
    expect([1, 2, 3, 4].map(() => buckets.take('a'))).toEqual([0, 0, 0, 1]);
  });

  it('say after how many whole seconds the next one is there', () => {
    const buckets = new TokenBuckets({ perSecond: 0.1, burst: 1 }, () => 0);
    buckets.take('a');
    expect(buckets.take('a')).toBe(10);
  });
});
