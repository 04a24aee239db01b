import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { conditionalFetch } from '../../../activities/forges/github/conditional-fetch.ts';
import { createGithubClient } from '../../../activities/forges/github/client.ts';
import { Github } from '../../../activities/forges/github/github.ts';
import type { QueuedJobs } from '../../../contracts/ports/forge.ts';
import { API_PREFIX } from '../../../services/simulator/api/routes.ts';
import { addHook } from '../../../services/simulator/api/hook-routes.ts';
import { DEFAULT_TOKEN } from '../../../services/simulator/simulator.ts';
import { addRepository } from '../../../services/simulator/world.ts';
import { TestBench } from '../../support/simulator.ts';
import { SimControl } from '../../support/simulator-control.ts';

/** What health checks ask of GitHub: how often, and what one bad repository costs. */

const SCOPE = { organization: 'octo-org' };
const GROUPS = [1, 2, 3, 4, 5].map((number) => `group-${number}`);
/** With the one that every simulator has. */
const REPOSITORIES = Array.from({ length: 40 }, (_, index) => (index === 0 ? 'demo' : `repository-${index}`));
const LABELS = ['demo'];

let bench: TestBench;
let control: SimControl;

beforeAll(async () => {
  bench = await TestBench.start();
  control = new SimControl(bench.simulator.address);
  for (const name of REPOSITORIES.slice(1)) addRepository(bench.sim, `octo-org/${name}`);
  addHook(bench.sim, { kind: 'organization', target: 'octo-org', url: bench.receiver.url, secret: null });
});
afterAll(async () => {
  await bench?.dispose();
});

const createGithub = (): Github => {
  return new Github(createGithubClient({ url: bench.simulator.address, auth: { token: DEFAULT_TOKEN } }));
};

const calls = (since: number) => bench.log.since(since, 'api.call');
/** The calls that count against GitHub's hourly limit. */
const counted = (since: number) => calls(since).filter(({ status }) => status !== 304);

/** What the health checks of all groups ask of the forge in one interval. */
async function checkAll(github: Github): Promise<QueuedJobs[]> {
  const notBefore = Date.now();
  const found: QueuedJobs[] = [];
  for (const group of GROUPS) {
    const access = {
      allowPublic: true,
      adopt: true as const,
      repositories: group === 'group-1' ? ['demo', 'repository-1'] : undefined,
    };
    await github.reconcileRunnerGroup({ scope: SCOPE, group, access }, { notBefore });
    await github.listRegistrations(SCOPE, { notBefore });
    if (group === GROUPS[0]) {
      await github.redeliver({
        hook: { kind: 'organization', ...SCOPE },
        since: notBefore - 60_000,
        failing: new Map(),
      });
    }
    found.push(await github.listQueuedJobs({ scope: SCOPE, labels: LABELS }, { notBefore }));
  }
  return found;
}

describe('the health checks of 5 groups and 40 repositories', () => {
  it('cost at most 60 calls of GitHub’s hourly limit in an idle hour, and nearly none in the next', async () => {
    // Made before, as usual.
    for (const group of GROUPS) {
      const access = {
        allowPublic: true,
        adopt: true as const,
        repositories: group === 'group-1' ? ['demo', 'repository-1'] : undefined,
      };
      await createGithub().reconcileRunnerGroup({ scope: SCOPE, group, access });
    }
    const github = createGithub();
    const hour = async (): Promise<number> => {
      const start = bench.log.since().length;
      for (let interval = 0; interval < 6; interval++) await checkAll(github);
      return counted(start).length;
    };
    const [first, next] = [await hour(), await hour()];
    console.log(`calls that count: ${first} in the first hour of a process, ${next} in the next`);
    expect(first).toBeLessThanOrEqual(60);
    expect(next).toBeLessThanOrEqual(6);
  });

  it('cost nothing more when the App has its next token', async () => {
    const send = conditionalFetch(fetch);
    const url = `${bench.simulator.address}${API_PREFIX}/orgs/octo-org/actions/runner-groups`;
    const before = bench.log.since().length;
    const bodies: string[] = [];
    for (const token of ['ghp_this_hour', 'ghp_next_hour']) bench.sim.tokens.add(token);
    for (const token of ['ghp_this_hour', 'ghp_next_hour', 'ghp_next_hour']) {
      const answer = await send(url, { headers: { accept: 'application/json', authorization: `token ${token}` } });
      bodies.push(await answer.text());
    }
    expect(new Set(bodies).size).toBe(1);
    expect(calls(before).map(({ status }) => status)).toEqual([200, 304, 304]);
  });

  it('see a waiting job in the next interval, each group once', async () => {
    const github = createGithub();
    await checkAll(github);
    const waiting = bench.job(['run: "true"']);
    const found = await checkAll(github);
    expect(found.map(({ jobs }) => jobs.map(({ job }) => job.id))).toEqual(GROUPS.map(() => [waiting.id]));
  });

  it('lose only the repository that GitHub refuses to show', async () => {
    const github = createGithub();
    const waiting = bench.job(['run: "true"']);
    await control.apiFault({
      method: 'GET',
      path: '/repos/octo-org/repository-7/',
      fault: 'status',
      status: 404,
      count: 1,
    });
    await control.apiFault({
      method: 'GET',
      path: '/repos/octo-org/repository-9/',
      fault: 'status',
      status: 403,
      count: 1,
    });
    const { jobs, unread } = await github.listQueuedJobs({ scope: SCOPE, labels: LABELS });
    await control.clearApiFaults();
    expect(jobs.map(({ job }) => job.id)).toContain(waiting.id);
    expect(unread).toEqual([expect.stringContaining('repository-7'), expect.stringContaining('repository-9')]);
  });

  it('end at once when GitHub does not answer for one repository after another', async () => {
    const github = createGithub();
    await control.apiFault({ method: 'GET', path: '/actions/runs', fault: 'status', status: 502, count: 1000 });
    const looking = github.listQueuedJobs({ scope: SCOPE, labels: LABELS });
    await expect(looking).rejects.toMatchObject({ code: 'FORGE_UNAVAILABLE' });
    await control.clearApiFaults();
  });
});
