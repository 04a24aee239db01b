import { describe, expect, it } from 'vitest';
import type { SlotReserveContext } from '@temporalio/worker';
import { StartSlots } from '../../../../services/orchestrator/start-slots.ts';

const CONTEXT: SlotReserveContext = {
  slotType: 'workflow',
  taskQueue: 'baton-runners',
  workerIdentity: 'test',
  workerBuildId: '',
  isSticky: false,
};

/** Asks for a slot as a poll does, and notes when it gets one. */
function poll(slots: StartSlots, signal = new AbortController().signal): { granted: boolean; asked: Promise<unknown> } {
  const asking = { granted: false, asked: Promise.resolve() as Promise<unknown> };
  asking.asked = slots.reserveSlot(CONTEXT, signal).then(
    () => (asking.granted = true),
    (error: unknown) => error,
  );
  return asking;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the slots for workflow tasks', () => {
  it('keep some for workflows that start, however many tasks wait', async () => {
    const slots = new StartSlots({ total: 5, kept: 2 });
    expect(slots.available).toBe(3);
    const polls = Array.from({ length: 10 }, () => poll(slots));
    await nextTurn();
    expect(polls.filter(({ granted }) => granted)).toHaveLength(3);
    // The worker is full, though starts still get slots.
    expect(slots.available).toBe(0);
    expect([slots.tryReserveSlot(), slots.tryReserveSlot(), slots.tryReserveSlot()]).toEqual([{}, {}, null]);
    expect(slots.available).toBe(0);
    // A slot that a start gives back is kept for the next one.
    slots.releaseSlot();
    await nextTurn();
    expect(polls.filter(({ granted }) => granted)).toHaveLength(3);
    expect(slots.tryReserveSlot()).toEqual({});
  });

  it('go to whoever waits longest', async () => {
    const slots = new StartSlots({ total: 2, kept: 1 });
    const [first, second, third] = [poll(slots), poll(slots), poll(slots)];
    await nextTurn();
    expect([first.granted, second.granted, third.granted]).toEqual([true, false, false]);
    slots.releaseSlot();
    await nextTurn();
    expect([second.granted, third.granted]).toEqual([true, false]);
  });

  it('go to starts, too, where no task wants them', () => {
    const slots = new StartSlots({ total: 3, kept: 1 });
    expect(Array.from({ length: 4 }, () => slots.tryReserveSlot())).toEqual([{}, {}, {}, null]);
  });

  it('are not taken by a poll that was given up', async () => {
    const slots = new StartSlots({ total: 1, kept: 0 });
    const given = new AbortController();
    poll(slots);
    const waiting = poll(slots, given.signal);
    const next = poll(slots);
    given.abort(new Error('shutting down'));
    expect(await waiting.asked).toMatchObject({ message: 'shutting down' });
    slots.releaseSlot();
    await nextTurn();
    expect(next.granted).toBe(true);
    expect(await poll(slots, AbortSignal.abort(new Error('too late'))).asked).toMatchObject({ message: 'too late' });
  });
});
