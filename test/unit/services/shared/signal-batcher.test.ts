import { describe, expect, it } from 'vitest';
import { SignalBatcher, type Item } from '../../../../services/shared/signal-batcher.ts';

const letter = (id: number, bytes = 10): Item<number> => ({ id: String(id), value: id, bytes });

/** A mailbox whose calls end when the test says so. */
function held() {
  const calls: { address: string; values: number[]; finish: () => void }[] = [];
  const mailbox = new SignalBatcher<number, string>(
    (address, letters) =>
      new Promise((resolve) => {
        calls.push({ address, values: letters.map(({ value }) => value), finish: () => resolve('delivered') });
      }),
    () => false,
  );
  return { calls, mailbox };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const called = (calls: readonly unknown[], count: number) => expect.poll(() => calls.length).toBe(count);

describe('Mailbox', () => {
  it('sends a lone letter at once, and gathers others while the call is under way', async () => {
    const { calls, mailbox } = held();
    const results = Array.from({ length: 131 }, (_, id) => mailbox.add('a', letter(id)));
    void mailbox.add('b', letter(500));
    expect(calls.map(({ values }) => values)).toEqual([[0], [500]]);
    calls[0]?.finish();
    await called(calls, 3);
    // In their order, at most a hundred.
    expect(calls[2]?.values).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    calls[2]?.finish();
    await called(calls, 4);
    expect(calls[3]?.values.length).toBe(30);
    calls[3]?.finish();
    expect(new Set(await Promise.all(results))).toEqual(new Set(['delivered']));
  });

  it('keeps a call below its size', async () => {
    const { calls, mailbox } = held();
    for (let id = 0; id < 5; id++) void mailbox.add('a', letter(id, 200 * 1024));
    calls[0]?.finish();
    await called(calls, 2);
    expect(calls[1]?.values).toEqual([1, 2]);
  });

  it('refuses only the letter whose fault it is', async () => {
    const sent: number[][] = [];
    const mailbox = new SignalBatcher<number, string>(
      async (_address, letters) => {
        await turn();
        const values = letters.map(({ value }) => value);
        if (values.includes(5)) throw new Error('no 5');
        sent.push(values);
        return 'delivered';
      },
      (error) => error instanceof Error && error.message === 'no 5',
    );
    const results = await Promise.allSettled(Array.from({ length: 9 }, (_, id) => mailbox.add('a', letter(id))));
    expect(results.map(({ status }) => status)).toEqual(
      Array.from({ length: 9 }, (_, id) => (id === 5 ? 'rejected' : 'fulfilled')),
    );
    expect(sent.flat()).toEqual([0, 1, 2, 3, 4, 6, 7, 8]);
  });
});
