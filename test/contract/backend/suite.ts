import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Candidate } from './candidate.ts';
import { capacityRows } from './capacity-rows.ts';
import { faultRows } from './fault-rows.ts';
import { lifeRows } from './life-rows.ts';
import { listRows } from './list-rows.ts';
import { recoveryRows } from './recovery-rows.ts';
import { tagRows } from './tag-rows.ts';
import { SuiteWorld } from './world.ts';

/** Holds {@link Backend} to its contract, against the real thing or an emulator that nobody here wrote. */
export function backendContract(name: string, start: () => Promise<Candidate>): void {
  describe(`the ${name} backend`, () => {
    const world = new SuiteWorld(name);

    beforeAll(async () => {
      world.start(await start());
    });

    afterEach(async () => {
      expect(await world.cleanUp()).toEqual([]);
    });

    afterAll(async () => {
      world.book.save();
      await world.candidate.stop?.();
    });

    lifeRows(world);
    tagRows(world);
    recoveryRows(world);
    faultRows(world);
    capacityRows(world);
    listRows(world);

    it('did what the page of the contract says', (context) => {
      context.skip(!world.book.complete, 'not all rows were run');
      expect(world.book.differences()).toEqual([]);
    });
  });
}
