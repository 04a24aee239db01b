import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createGithubClient } from '../../../activities/forges/github/client.ts';
import { Github } from '../../../activities/forges/github/github.ts';
import { GroupOwnership } from '../../../activities/forges/github/group-ownership.ts';
import { MadeGroupsInMemory } from '../../../activities/forges/github/made-groups.ts';
import type { ForgeGroup, GroupAccess } from '../../../contracts/ports/forge.ts';
import { DEFAULT_TOKEN } from '../../../services/simulator/simulator.ts';
import type { RunnerGroup } from '../../../services/simulator/state.ts';
import { TestBench } from '../../support/simulator.ts';
import { SimControl } from '../../support/simulator-control.ts';

/** Whose a runner group is: Baton's own, or one that was there before. */
const OPEN: GroupAccess = { allowPublic: true };

let bench: TestBench;
let made: MadeGroupsInMemory;
let github: Github;
let count = 0;
let name = '';

beforeAll(async () => {
  bench = await TestBench.start();
});
afterAll(async () => {
  await bench?.dispose();
});
beforeEach(() => {
  count += 1;
  name = `gpu-${count}`;
  made = new MadeGroupsInMemory();
  github = create();
});

/** Another process of the same installation where `made` is the same. */
const create = (): Github =>
  new Github(
    createGithubClient({ url: bench.simulator.address, auth: { token: DEFAULT_TOKEN } }),
    undefined,
    new GroupOwnership(made),
  );
const order = (access: GroupAccess = OPEN): ForgeGroup => ({
  scope: { organization: 'octo-org' },
  group: name,
  access,
});
const register = (access: GroupAccess = OPEN) =>
  github.register({ ...order(access), runner: `${name}-${Math.random()}`, labels: ['gpu'] });

function onForge(): RunnerGroup[] {
  const groups = [...(bench.sim.state.accounts.get('octo-org')?.groups.values() ?? [])];
  return groups.filter((group) => group.name.toLowerCase() === name);
}

async function makeByHand(settings: object = {}): Promise<RunnerGroup> {
  const answer = await bench.api('POST', '/orgs/octo-org/actions/runner-groups', {
    name,
    visibility: 'selected',
    allows_public_repositories: false,
    ...settings,
  });
  expect(answer.status).toBe(201);
  const [group] = onForge();
  if (group === undefined) throw new Error(`there is no group ${name}`);
  return group;
}

const listChanges = (since: number): string[] =>
  bench.simulator.log
    .since(since, 'api.call')
    .map((call) => `${String(call['method'])} ${String(call['path'])}`)
    .filter((call) => !call.startsWith('GET'));

describe('a runner group that was there before Baton', () => {
  it.each<[string, () => Partial<{ name: string }>]>([
    ['as it is', () => ({})],
    ['in upper case', () => ({ name: name.toUpperCase() })],
  ])('is neither changed nor used without `adopt`, its name %s', async (_how, settings) => {
    const group = await makeByHand(settings());
    const before = structuredClone(group);
    const since = bench.simulator.log.since().length;
    const refusal = { code: 'GROUP_NOT_ADOPTED', message: expect.stringContaining(`group ${name} of octo-org exists`) };
    await expect(github.reconcileRunnerGroup(order())).rejects.toMatchObject(refusal);
    await expect(register()).rejects.toMatchObject(refusal);
    expect(group).toEqual(before);
    expect(onForge()).toHaveLength(1);
    expect(listChanges(since)).toEqual([]);
  });

  it('holds back the starts of its group only, until it is adopted', async () => {
    await makeByHand();
    const scope = { organization: 'octo-org' };
    expect(github.getRegistrationOutlook(scope, name).blocked).toBeNull();
    await github.reconcileRunnerGroup(order()).catch(() => undefined);
    expect(github.getRegistrationOutlook(scope, name)).toMatchObject({
      blocked: expect.stringContaining('Baton did not make it'),
      waitMs: 30_000,
    });
    expect(github.getRegistrationOutlook(scope, 'other').blocked).toBeNull();
    expect(github.getRegistrationOutlook({ ...scope, repository: 'demo' }, name).blocked).toBeNull();
    await github.reconcileRunnerGroup(order({ ...OPEN, adopt: true }));
    expect(github.getRegistrationOutlook(scope, name).blocked).toBeNull();
  });

  it('is used when it is adopted, and not given what it did not have', async () => {
    const group = await makeByHand({ restricted_to_workflows: true });
    const { changes, notes } = await github.reconcileRunnerGroup(order({ ...OPEN, adopt: true }));
    expect(changes).toEqual([]);
    expect(notes).toEqual([
      expect.stringMatching(/visibility is "selected".*allows_public_repositories is false.*restricted_to_workflows/),
    ]);
    await register({ ...OPEN, adopt: true });
    expect(group).toMatchObject({
      visibility: 'selected',
      allowsPublicRepositories: false,
      restrictedToWorkflows: true,
      repositoryIds: new Set(),
    });
  });

  it('is refused where one was deleted that Baton had made, and another was made by hand', async () => {
    await github.reconcileRunnerGroup(order());
    const [own] = onForge();
    bench.sim.state.accounts.get('octo-org')?.groups.delete(own?.id ?? 0);
    await makeByHand();
    await expect(register()).rejects.toMatchObject({ code: 'GROUP_NOT_ADOPTED' });
    await expect(github.reconcileRunnerGroup(order())).rejects.toMatchObject({ code: 'GROUP_NOT_ADOPTED' });
  });
});

describe('a runner group that Baton made', () => {
  it('is used by every process of the installation, and by no other installation', async () => {
    await github.reconcileRunnerGroup(order());
    expect(await create().reconcileRunnerGroup(order())).toEqual({ changes: [], notes: [] });
    made = new MadeGroupsInMemory();
    await expect(create().reconcileRunnerGroup(order())).rejects.toMatchObject({ code: 'GROUP_NOT_ADOPTED' });
  });

  it('is made once by two processes that start at the same time', async () => {
    const [one, other] = [create(), create()];
    await Promise.all([one.reconcileRunnerGroup(order()), other.reconcileRunnerGroup(order())]);
    expect(onForge()).toHaveLength(1);
    await one.reconcileRunnerGroup(order());
    await other.reconcileRunnerGroup(order());
  });

  it('stays Baton’s when the answer to its creation was lost', async () => {
    const sim = new SimControl(bench.simulator.address);
    await sim.apiFault({ method: 'POST', path: '/runner-groups', fault: 'lost', count: 1 });
    await expect(github.reconcileRunnerGroup(order())).rejects.toMatchObject({ code: 'FORGE_UNAVAILABLE' });
    expect(onForge()).toHaveLength(1);
    // Also for a process that did not ask for it.
    expect(await create().reconcileRunnerGroup(order())).toEqual({ changes: [], notes: [] });
    const narrow = { repositories: ['demo'], allowPublic: false };
    await create().reconcileRunnerGroup(order(narrow));
    expect((await create().reconcileRunnerGroup(order())).changes).not.toEqual([]);
  });

  it('is not taken for the one that someone made meanwhile after GitHub refused to create it', async () => {
    const sim = new SimControl(bench.simulator.address);
    await sim.apiFault({ method: 'POST', path: '/runner-groups', fault: 'forbidden', count: 1 });
    await expect(github.reconcileRunnerGroup(order())).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
    await makeByHand({ visibility: 'all', allows_public_repositories: true });
    await expect(github.reconcileRunnerGroup(order())).rejects.toMatchObject({ code: 'GROUP_NOT_ADOPTED' });
  });
});
