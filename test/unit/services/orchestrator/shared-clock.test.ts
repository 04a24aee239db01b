import { array, assert, asyncProperty, integer, nat, oneof, option, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addUse, computeWindowWait, type WindowUses } from '../../../../activities/lib/sliding-window.ts';
import { createLogger } from '../../../../contracts/lib/log.ts';
import { SharedClock, type ClockBucket } from '../../../../services/orchestrator/rate-limit/shared-clock.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const WINDOW = { lengthMs: 60_000, slotMs: 500, marginMs: 1000 };
const CAP = 50;
const log = createLogger('test', 'silent');

/** The time that everything in a test shares: a NATS server, whose answers take a while, and machines with wrong clocks. */
class World {
  at = START;
  /** The server's clock differs from the true time. */
  serverDifferenceMs = 0;
  isReachable = true;
  latencyMs = 0;

  readonly bucket: ClockBucket = (() => {
    const stored: Date[] = [];
    return {
      put: () => {
        if (!this.isReachable) return Promise.reject(new Error('no answer'));
        this.at += this.latencyMs;
        stored.push(new Date(this.at + this.serverDifferenceMs));
        this.at += this.latencyMs;
        return Promise.resolve(stored.length);
      },
      get: (_key, { revision }) => {
        const created = stored[revision - 1];
        return Promise.resolve(created === undefined ? null : { created });
      },
    };
  })();

  /** The clock of a process on a machine whose own clock differs by so much. */
  async start(differenceMs: () => number): Promise<SharedClock> {
    const local = { wall: () => this.at + differenceMs(), monotonic: () => this.at - START + 77 };
    return await SharedClock.start({ bucket: this.bucket, log, local });
  }
}

describe('the shared clock', () => {
  it('shows the server’s time, whatever the machine’s clock shows, and goes on without the server', async () => {
    const world = new World();
    world.serverDifferenceMs = 1234;
    world.latencyMs = 20;
    let differenceMs = -3_600_000;
    const clock = await world.start(() => differenceMs);
    expect(clock.now()).toBe(world.at + 1234);
    world.isReachable = false;
    world.at += 90_000;
    differenceMs = 7_200_000;
    await clock.measure();
    expect(clock.now()).toBe(world.at + 1234);
  });

  it('begins with the machine’s time when the server does not answer, and is corrected by its first answer', async () => {
    const world = new World();
    world.isReachable = false;
    const clock = await world.start(() => -600_000);
    expect(clock.now()).toBe(world.at - 600_000);
    world.isReachable = true;
    await clock.measure();
    expect(clock.now()).toBe(world.at);
  });

  it('takes no answer that was slow: it would say too little about the time', async () => {
    const world = new World();
    const clock = await world.start(() => 0);
    world.latencyMs = 30_000;
    world.serverDifferenceMs = 5_000_000;
    await clock.measure();
    expect(clock.now()).toBe(world.at);
  });

  it('stands still instead of going back a little, and is set back where it was far ahead', async () => {
    const world = new World();
    world.serverDifferenceMs = 4000;
    const clock = await world.start(() => 0);
    const shown = clock.now();
    world.serverDifferenceMs = 0;
    await clock.measure();
    expect(clock.now()).toBe(shown);
    world.at += 4001;
    expect(clock.now()).toBe(world.at);
    world.serverDifferenceMs = -60_000;
    await clock.measure();
    expect(clock.now()).toBe(world.at - 60_000);
  });

  it('lets processes with any clocks share a limit: never more than the cap in any window, and all of it', async () => {
    const processes = array(integer({ min: -7_200_000, max: 7_200_000 }), { minLength: 2, maxLength: 4 });
    const step = record({
      process: nat(3),
      passMs: oneof(integer({ min: 0, max: 400 }), integer({ min: 0, max: 70_000 })),
      amount: integer({ min: 1, max: CAP }),
      /** The machine's clock is set. */
      setMs: option(integer({ min: -7_200_000, max: 7_200_000 }), { freq: 5 }),
    });
    await assert(
      asyncProperty(processes, array(step, { maxLength: 80 }), nat(10), async (initial, steps, latency) => {
        const differences = [...initial];
        const world = new World();
        world.latencyMs = latency;
        const clocks: SharedClock[] = [];
        for (const index of differences.keys()) clocks.push(await world.start(() => differences[index] ?? 0));
        let uses: WindowUses = [];
        const taken: { at: number; amount: number }[] = [];
        for (const { process, passMs, amount, setMs } of steps) {
          world.at += passMs;
          const index = process % clocks.length;
          if (setMs !== null) differences[index] = setMs;
          const now = clocks[index]?.now() ?? 0;
          if (computeWindowWait(uses, WINDOW, CAP, amount, now) > 0) continue;
          uses = addUse(uses, WINDOW, amount, now);
          taken.push({ at: world.at, amount });
        }
        for (const { at: from } of taken) {
          const within = taken.filter(({ at }) => at >= from && at < from + WINDOW.lengthMs);
          expect(within.reduce((sum, { amount }) => sum + amount, 0)).toBeLessThanOrEqual(CAP);
        }
        world.at += WINDOW.lengthMs + WINDOW.slotMs + WINDOW.marginMs + 100;
        for (const clock of clocks) expect(computeWindowWait(uses, WINDOW, CAP, CAP, clock.now())).toBe(0);
      }),
      // The same cases in every run.
      { seed: 20_260_101, numRuns: 200, endOnFailure: true },
    );
  });
});
