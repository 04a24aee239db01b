import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Candidate } from './candidate.ts';
import { capacityRows } from './capacity-rows.ts';
import { faultRows } from './fault-rows.ts';
import { lifeRows } from './life-rows.ts';
import { listRows } from './list-rows.ts';
import { recoveryRows } from './recovery-rows.ts';
import { tagRows } from './tag-rows.ts';
import { SuiteWorld } from './world.ts';

/** Tests a {@link Backend} against its contract, with the real service or an emulator of it. */
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

    it('has the results that the page of the contract shows', (context) => {
      context.skip(!world.book.complete, 'not all rows were run');
      expect(world.book.differences()).toEqual([]);
    });
  });
}
