import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import { Cluster } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { findClusterLeftovers } from '../support/find-leftovers.ts';
import { until } from '../support/until.ts';

/**
 * Two installations on one machine and one repository whose runner names have the same prefix: `a` has a group `b-c`,
 * `a-b` a group `c`. Each checks its own health every two seconds, and must not take the other's runners for orphans.
 */
const FIRST = `nb-${randomBytes(3).toString('hex')}`;
const SECOND = `${FIRST}-x`;

let first: Cluster;
let second: Cluster;
let sim: SimControl;

const config = (root: string, name: string, label: string) => `
health_check_interval: 2s
backends:
  local: { type: local, root: ${root} }
groups:
  - { name: ${name}, organization: acme, repository: hello, labels: [${label}], backend: local, min: 1, max: 3, runner: { directory: ROOT/runner } }
`;

beforeAll(async () => {
  const options = { copies: 1, backends: ['local'], simulator: { timing: { sweepMs: 50 } } };
  first = await Cluster.start({ ...options, installation: FIRST, config: config('ROOT/local', 'x-linux', 'one') });
  const shared = config(`${first.dir}/local`, 'linux', 'two');
  second = await Cluster.start({ ...options, installation: SECOND, forgeOwner: first, config: shared });
  sim = new SimControl(first.sim.address);
});
afterAll(async () => {
  await second?.stop();
  await first?.stop();
});

/** Waits for the idle runner of an installation (`min: 1`) other than `not`. */
async function untilIdleRunner(cluster: Cluster, group: string, not = ''): Promise<string> {
  return await until(async () => {
    const names = (await cluster.runners('Running')).map((id) => id.split('/')[2] ?? '');
    const online = [...cluster.sim.sim.state.runners.values()].filter((runner) => runner.online);
    const [name] = online.map((runner) => runner.name).filter((name) => names.includes(name) && name !== not);
    if (name === undefined) throw new Error(`no runner of ${group} is online`);
    return name;
  });
}

/** How often a group's health has been checked. */
async function countHealthChecks(cluster: Cluster, group: string): Promise<number> {
  return (await cluster.client.schedule.getHandle(`health-check/${group}`).describe()).info.numActionsTaken;
}

describe('two installations on one forge', () => {
  it.each([
    ['the first', () => [first, 'x-linux', second, 'linux'] as const],
    ['the second', () => [second, 'linux', first, 'x-linux'] as const],
  ])(
    '%s installation removes what is left of its own lost runner, and nothing of the other installation',
    async (_which, pick) => {
      const [mine, myGroup, theirs, theirGroup] = pick();
      const lost = await untilIdleRunner(mine, myGroup);
      const kept = await untilIdleRunner(theirs, theirGroup);
      await mine.client.workflow.getHandle(runnerWorkflowId(myGroup, lost)).terminate('by the test');
      await untilIdleRunner(mine, myGroup, lost);
      await until(async () => {
        const { folders = [], registrations = [] } = await findClusterLeftovers(mine);
        expect([...folders, ...registrations]).not.toContain(lost);
      });
      // A few more health checks: nothing of the other installation is removed.
      const [checks, theirChecks] = [
        await countHealthChecks(mine, myGroup),
        await countHealthChecks(theirs, theirGroup),
      ];
      await until(async () => {
        expect(await countHealthChecks(mine, myGroup)).toBeGreaterThan(checks + 2);
        expect(await countHealthChecks(theirs, theirGroup)).toBeGreaterThan(theirChecks + 2);
      });
      expect(await untilIdleRunner(theirs, theirGroup)).toBe(kept);
    },
  );

  it('each run only their own jobs, although both get all webhooks', async () => {
    const one = await sim.jobs({ labels: ['one'], run: 'true' });
    const two = await sim.jobs({ labels: ['two'], run: 'true' });
    const jobs = await sim.untilCompleted([...one, ...two]);
    const runners = Object.fromEntries(jobs.map(({ id, runner }) => [id, runner]));
    expect(runners[one[0] ?? 0]).toMatch(new RegExp(`^${FIRST}-x-linux-`));
    expect(runners[two[0] ?? 0]).toMatch(new RegExp(`^${SECOND}-linux-`));
  });
});
