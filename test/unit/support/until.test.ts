import { describe, expect, it } from 'vitest';
import { until } from '../../support/until.ts';

describe('until', () => {
  it('returns what the check returns once it neither throws nor returns false', async () => {
    const answers = [new Error('not yet'), false, 'done'] as const;
    let count = 0;
    const check = (): string | false => {
      const answer = answers[count++] ?? 'too often';
      if (answer instanceof Error) throw answer;
      return answer;
    };
    expect(await until(check)).toBe('done');
  });

  it('throws at its time-out what was waited for, and what the last check threw', async () => {
    const check = (): void => expect(1).toBe(2);
    await expect(until(check, { what: 'one is two', timeoutMs: 100 })).rejects.toMatchObject({
      message: expect.stringMatching(/^waited 0\.1 s until one is two: expected 1 to be 2/),
      actual: 1,
    });
  });

  it('throws at its time-out when the check does not end', async () => {
    const check = (): Promise<void> => new Promise(() => undefined);
    await expect(until(check, { timeoutMs: 100 })).rejects.toThrow('waited 0.1 s: the check did not end');
  });
});
