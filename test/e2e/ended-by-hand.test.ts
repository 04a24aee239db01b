import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capacityWorkflowId } from '../../contracts/workflows/capacity.ts';
import { dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import { healthScheduleId } from '../../contracts/workflows/health.ts';
import { untilExists } from '../support/held-script.ts';
import { Cluster } from '../support/cluster.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { SimControl } from '../support/simulator-control.ts';
import { until } from '../support/until.ts';

/** A person ends workflows and deletes schedules that should run for ever, while jobs run and wait. */

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    copies: 1,
    backends: ['small'],
    simulator: { timing: { sweepMs: 50 } },
    config: `
backends:
  small: { type: local, root: ROOT/local, max: 2 }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: small, max: 2, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  await cluster?.stop();
});

const terminate = (workflowId: string): Promise<unknown> =>
  cluster.client.workflow.getHandle(workflowId).terminate('ended by the test');

describe('a group at its max, whose dispatcher, capacity workflow and health schedule were all ended by hand', () => {
  it('gets them back, with its busy runners and its waiting jobs, and never has more runners than its max', async () => {
    const from = (await sim.log()).length;
    const go = join(cluster.dir, 'go');
    const jobs = await sim.jobs({ count: 4, labels: ['linux'], run: untilExists(go) });
    await until(async () => expect(await cluster.dispatcher('linux')).toMatchObject({ busy: 2, waiting: 2 }));
    await terminate(dispatcherWorkflowId('linux'));
    await terminate(capacityWorkflowId('small'));
    await cluster.client.schedule.getHandle(healthScheduleId('linux')).delete();
    // Nothing arrives for the group that would start its dispatcher: the orchestrator notices.
    await until(async () => expect(await cluster.dispatcher('linux')).toMatchObject({ busy: 2, waiting: 2 }));
    await until(async () => {
      const schedule = await cluster.client.schedule.getHandle(healthScheduleId('linux')).describe();
      expect(schedule.info.numActionsTaken).toBeGreaterThanOrEqual(0);
    });
    writeFileSync(go, '');
    await sim.untilCompleted(jobs);
    let now = 0;
    let most = 0;
    for (const { type } of (await sim.log()).slice(from)) {
      if (type === 'runner.registered') now += 1;
      if (type === 'runner.removed') now -= 1;
      most = Math.max(most, now);
    }
    expect(most).toBe(2);
    await expectNothingLeft(cluster);
  });
});
