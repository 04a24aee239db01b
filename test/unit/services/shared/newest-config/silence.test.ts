import { describe, expect, it } from 'vitest';
import { Silence } from '../../../../../services/shared/newest-config/silence.ts';

const MAX_GAP_MS = 100;

describe('the time without a sign of life', () => {
  it('grows while the sign is the same, and begins again with each other one', () => {
    const silence = new Silence();
    expect(silence.measure('1', 1000, MAX_GAP_MS)).toBe(0);
    expect(silence.measure('1', 1100, MAX_GAP_MS)).toBe(100);
    expect(silence.measure('1', 1200, MAX_GAP_MS)).toBe(200);
    expect(silence.measure('2', 1250, MAX_GAP_MS)).toBe(0);
    expect(silence.measure('2', 1300, MAX_GAP_MS)).toBe(50);
  });

  it('begins again where nobody looked for longer: a machine may have stood still', () => {
    const silence = new Silence();
    silence.measure('1', 1000, MAX_GAP_MS);
    expect(silence.measure('1', 5000, MAX_GAP_MS)).toBe(0);
    expect(silence.measure('1', 5100, MAX_GAP_MS)).toBe(100);
  });

  it('begins again after a reset', () => {
    const silence = new Silence();
    silence.measure('1', 1000, MAX_GAP_MS);
    silence.reset();
    expect(silence.measure('1', 1100, MAX_GAP_MS)).toBe(0);
  });
});
