import { afterEach, describe, expect, it, vi } from 'vitest';
import { SignalBatcher, type Item } from '../../../../services/shared/signal-batcher.ts';

const createItem = (id: number, bytes = 10): Item<number> => ({ id: String(id), value: id, bytes });

/** A batcher whose calls end when the test ends them. */
function createHeldBatcher() {
  const calls: { workflow: string; values: number[]; finish: () => void }[] = [];
  const batcher = new SignalBatcher<number, string>(
    (workflow, items) =>
      new Promise((resolve) => {
        calls.push({ workflow, values: items.map(({ value }) => value), finish: () => resolve('delivered') });
      }),
    () => false,
  );
  return { calls, batcher };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const expectCalls = (calls: readonly unknown[], count: number) => expect.poll(() => calls.length).toBe(count);

describe('SignalBatcher', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('sends a single item at once, and batches those that arrive during the call', async () => {
    const { calls, batcher } = createHeldBatcher();
    const results = Array.from({ length: 131 }, (_, id) => batcher.add('a', createItem(id)));
    void batcher.add('b', createItem(500));
    expect(calls.map(({ values }) => values)).toEqual([[0], [500]]);
    calls[0]?.finish();
    await expectCalls(calls, 3);
    // In the order in which they were added, at most a hundred.
    expect(calls[2]?.values).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    calls[2]?.finish();
    await expectCalls(calls, 4);
    expect(calls[3]?.values.length).toBe(30);
    calls[3]?.finish();
    expect(new Set(await Promise.all(results))).toEqual(new Set(['delivered']));
  });

  it('keeps items that may wait until their time is over', async () => {
    vi.useFakeTimers();
    const { calls, batcher } = createHeldBatcher();
    void batcher.add('a', createItem(1), 1000);
    await vi.advanceTimersByTimeAsync(600);
    void batcher.add('a', createItem(2), 1000);
    await vi.advanceTimersByTimeAsync(399);
    expect(calls).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(calls.map(({ values }) => values)).toEqual([[1, 2]]);
    calls[0]?.finish();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(calls.length).toBe(1);
  });

  it('sends items that may wait with the first one that may not, in order', async () => {
    vi.useFakeTimers();
    const { calls, batcher } = createHeldBatcher();
    void batcher.add('a', createItem(1), 1000);
    void batcher.add('a', createItem(2));
    expect(calls.map(({ values }) => values)).toEqual([[1, 2]]);
    calls[0]?.finish();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(calls.length).toBe(1);
  });

  it('limits the size of a call', async () => {
    const { calls, batcher } = createHeldBatcher();
    for (let id = 0; id < 5; id++) void batcher.add('a', createItem(id, 200 * 1024));
    calls[0]?.finish();
    await expectCalls(calls, 2);
    expect(calls[1]?.values).toEqual([1, 2]);
  });

  it('rejects only the item that causes the error', async () => {
    const sent: number[][] = [];
    const batcher = new SignalBatcher<number, string>(
      async (_workflow, items) => {
        await nextTurn();
        const values = items.map(({ value }) => value);
        if (values.includes(5)) throw new Error('no 5');
        sent.push(values);
        return 'delivered';
      },
      (error) => error instanceof Error && error.message === 'no 5',
    );
    const results = await Promise.allSettled(Array.from({ length: 9 }, (_, id) => batcher.add('a', createItem(id))));
    expect(results.map(({ status }) => status)).toEqual(
      Array.from({ length: 9 }, (_, id) => (id === 5 ? 'rejected' : 'fulfilled')),
    );
    expect(sent.flat()).toEqual([0, 1, 2, 3, 4, 6, 7, 8]);
  });
});
