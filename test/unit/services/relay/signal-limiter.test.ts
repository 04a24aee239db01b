import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Counter, Registry } from 'prom-client';
import { createLogger } from '../../../../contracts/lib/log.ts';
import { SignalLimiter } from '../../../../services/relay/signal-limiter.ts';

function createLimiter(): { limiter: SignalLimiter; countDropped: (reason: string) => Promise<number> } {
  const registry = new Registry();
  const dropped = new Counter({ name: 'dropped', help: 'dropped', labelNames: ['reason'], registers: [registry] });
  return {
    limiter: new SignalLimiter({ dropped, log: createLogger('test', 'silent') }),
    countDropped: async (reason) =>
      (await dropped.get()).values.find(({ labels }) => labels.reason === reason)?.value ?? 0,
  };
}

describe('the limiter of signals', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('passes the first message of each kind and runner on, and drops and counts the others', async () => {
    const { limiter, countDropped } = createLimiter();
    expect(limiter.admit('one', 'started', 's.1')).toBe(true);
    expect(limiter.admit('one', 'started', 's.2')).toBe(false);
    expect(limiter.admit('one', 'exited', 's.3')).toBe(true);
    expect(limiter.admit('two', 'started', 's.4')).toBe(true);
    expect(await countDropped('repeated')).toBe(1);
  });

  it('passes the same message on again when the stream delivers it again, before and after it was confirmed', () => {
    const { limiter } = createLimiter();
    expect(limiter.admit('one', 'started', 's.1')).toBe(true);
    expect(limiter.admit('one', 'started', 's.1')).toBe(true);
    limiter.confirm('one', 'started', 's.1');
    expect(limiter.admit('one', 'started', 's.1')).toBe(true);
    expect(limiter.admit('one', 'started', 's.2')).toBe(false);
  });

  it('gives another message a chance when the first one was not delivered for a minute', () => {
    const { limiter } = createLimiter();
    limiter.admit('one', 'online', 's.1');
    vi.advanceTimersByTime(59_000);
    expect(limiter.admit('one', 'online', 's.2')).toBe(false);
    vi.advanceTimersByTime(1000);
    expect(limiter.admit('one', 'online', 's.3')).toBe(true);
    limiter.confirm('one', 'online', 's.3');
    vi.advanceTimersByTime(7 * 86_400_000);
    expect(limiter.admit('one', 'online', 's.4')).toBe(false);
  });

  it('lets a runner leave three dead letters, each as often as it is delivered', async () => {
    const { limiter, countDropped } = createLimiter();
    for (const position of ['s.1', 's.2', 's.3', 's.2'])
      expect(limiter.admitDeadLetter('one', position, 'MESSAGE_INVALID')).toBe(true);
    expect(limiter.admitDeadLetter('one', 's.4', 'SIGNAL_FORGED')).toBe(false);
    expect(limiter.admitDeadLetter('one', 's.1', 'MESSAGE_INVALID')).toBe(true);
    expect(limiter.admitDeadLetter('two', 's.5', 'MESSAGE_INVALID')).toBe(true);
    expect(await countDropped('SIGNAL_FORGED')).toBe(1);
  });
});
