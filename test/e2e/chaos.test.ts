import { it, vi } from 'vitest';
import { DOCKER_GROUP, LOCAL_GROUPS } from '../chaos/installation.ts';
import { formatFailure, formatResult } from '../chaos/report.ts';
import { runChaos } from '../chaos/run.ts';
import type { ChaosGroup } from '../chaos/schedule.ts';
import { describeUnless } from '../support/describe-unless.ts';
import { whyNoDocker } from '../support/docker.ts';

/**
 * A short run of what `npm run chaos` does for hours: a hundred jobs, while processes are killed, stopped and restarted,
 * webhooks are lost, the forge fails and instances die. BATON_SEED chooses another schedule.
 */
const SEED = Number(process.env['BATON_SEED'] ?? 20_261_121);
const JOBS = 100;
const FAULTS = 20;
/** Short, so that all of it takes three minutes. `npm run chaos` also has faults that outlast every timeout. */
const MAX_FAULT_MS = 6_000;

const COMMAND = `BATON_SEED=${SEED} npm test -- test/e2e/chaos.test.ts`;

vi.setConfig({ testTimeout: 900_000 });

async function expectNoProblem(groups: readonly ChaosGroup[]): Promise<void> {
  const result = await runChaos({
    seed: SEED,
    jobs: JOBS,
    faults: FAULTS,
    groups,
    maxFaultMs: MAX_FAULT_MS,
    maxWaitMs: 300_000,
    print: (line) => console.log(line),
  });
  console.log(formatResult(SEED, result));
  // Not as a message of `expect`, which would be cut.
  if (result.problems.length > 0) throw new Error(formatFailure(COMMAND, result));
}

const noDocker = await whyNoDocker();

describeUnless(noDocker, 'a cluster with processes and containers, in chaos', () => {
  it('runs every job once, exceeds no max, removes no busy runner and leaves nothing behind', async () => {
    await expectNoProblem([...LOCAL_GROUPS, DOCKER_GROUP]);
  });
});

describeUnless(
  noDocker === undefined ? 'containers are there: the suite above has processes too' : undefined,
  'a cluster with processes only, in chaos',
  () => {
    it('runs every job once, exceeds no max, removes no busy runner and leaves nothing behind', async () => {
      await expectNoProblem(LOCAL_GROUPS);
    });
  },
);
