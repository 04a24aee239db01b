import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createGithubClient } from '../../../activities/forges/github/client.ts';
import { Github } from '../../../activities/forges/github/github.ts';
import { GithubRuns } from '../../../activities/forges/github/runs.ts';
import type { ForgeGroup, GroupAccess } from '../../../contracts/ports/forge.ts';
import { addHook } from '../../../services/simulator/api/hook-routes.ts';
import type { HookKind } from '../../../services/simulator/settings.ts';
import { DEFAULT_TOKEN } from '../../../services/simulator/simulator.ts';
import type { RunnerGroup } from '../../../services/simulator/state.ts';
import { TestBench } from '../../support/simulator.ts';
import { SimControl } from '../../support/simulator-control.ts';
import { addRepository } from '../../../services/simulator/world.ts';

/**
 * Baton's calls to GitHub, against the simulator, which is tested against GitHub's own
 * description.
 */
const ALL: GroupAccess = { allowPublic: true };
const WORKFLOWS = ['octo-org/demo/.github/workflows/b.yml@main', 'octo-org/demo/.github/workflows/a.yml@v1'];

let bench: TestBench;
let github: Github;
let made = 0;
let name = '';

beforeAll(async () => {
  bench = await TestBench.start();
  addRepository(bench.sim, 'octo-org/second');
  github = new Github(createGithubClient({ url: bench.simulator.address, auth: { token: DEFAULT_TOKEN } }));
});
afterAll(async () => {
  await bench?.dispose();
});
beforeEach(() => {
  made += 1;
  name = `group-${made}`;
});

const order = (access: GroupAccess): ForgeGroup => ({ scope: { organization: 'octo-org' }, group: name, access });

function onForge(): RunnerGroup {
  const groups = [...(bench.sim.state.accounts.get('octo-org')?.groups.values() ?? [])];
  const found = groups.find((group) => group.name === name);
  if (found === undefined) throw new Error(`there is no group ${name}`);
  return found;
}

const findRepositoryId = (repository: string): number =>
  bench.sim.state.repositories.get(`octo-org/${repository}`)?.id ?? 0;
const callsSince = (seq: number): string[] =>
  bench.simulator.log.since(seq, 'api.call').map((call) => `${String(call['method'])} ${String(call['path'])}`);

describe('a runner group on GitHub', () => {
  it('is created with its configured access in one call', async () => {
    const before = bench.simulator.log.since().length;
    await github.reconcileRunnerGroup(order({ repositories: ['demo'], allowPublic: false, workflows: WORKFLOWS }));
    expect(onForge()).toMatchObject({
      visibility: 'selected',
      allowsPublicRepositories: false,
      restrictedToWorkflows: true,
      selectedWorkflows: WORKFLOWS,
      repositoryIds: new Set([findRepositoryId('demo')]),
    });
    expect(callsSince(before).filter((call) => /^(PATCH|PUT)/.test(call))).toEqual([]);
  });

  it('is not changed when it has the configured settings', async () => {
    const access = { repositories: ['demo', 'second'], allowPublic: true, workflows: WORKFLOWS };
    await github.reconcileRunnerGroup(order(access));
    onForge().selectedWorkflows.reverse();
    const before = bench.simulator.log.since().length;
    expect(await github.reconcileRunnerGroup(order(access))).toEqual({ changes: [], notes: [] });
    expect(callsSince(before).filter((call) => !call.startsWith('GET'))).toEqual([]);
  });

  it.each<[string, (group: RunnerGroup) => void, string]>([
    ['its name', (group) => (group.name = group.name.toUpperCase()), 'reset name to "group-'],
    ['its visibility', (group) => (group.visibility = 'all'), 'reset visibility to "selected"'],
    [
      'public repositories',
      (group) => (group.allowsPublicRepositories = true),
      'reset allows_public_repositories to false',
    ],
    ['its restriction', (group) => (group.restrictedToWorkflows = false), 'reset restricted_to_workflows to true'],
    ['its workflows', (group) => (group.selectedWorkflows = []), 'reset selected_workflows to ["octo-org/demo'],
    ['its repositories', (group) => (group.repositoryIds = new Set([1])), 'reset repositories to demo, second'],
  ])('has its configured settings again after someone changed %s', async (_what, drift, change) => {
    const access = { repositories: ['demo', 'second'], allowPublic: false, workflows: WORKFLOWS };
    await github.reconcileRunnerGroup(order(access));
    const before = structuredClone(onForge());
    const group = onForge();
    drift(group);
    expect(await github.reconcileRunnerGroup(order(access))).toEqual({
      changes: [expect.stringContaining(change)],
      notes: [],
    });
    expect(group).toEqual(before);
  });

  it('allows all repositories and workflows when its restrictions are removed', async () => {
    await github.reconcileRunnerGroup(order({ repositories: ['demo'], allowPublic: false, workflows: WORKFLOWS }));
    await github.reconcileRunnerGroup(order(ALL));
    expect(onForge()).toMatchObject({
      visibility: 'all',
      allowsPublicRepositories: true,
      restrictedToWorkflows: false,
    });
  });

  it('is not used for the runners of a repository', async () => {
    const before = bench.simulator.log.since().length;
    const scope = { organization: 'octo-org', repository: 'demo' };
    expect(await github.reconcileRunnerGroup({ scope, group: name, access: ALL })).toEqual({ changes: [], notes: [] });
    expect(callsSince(before)).toEqual([]);
    await github.listRegistrations(scope);
    expect(callsSince(before)).toEqual(['GET /repos/octo-org/demo/actions/runners']);
  });

  it('is created without a configured repository that does not exist, which is noted', async () => {
    const access = { repositories: ['demo', 'nowhere'], allowPublic: true };
    const done = await github.reconcileRunnerGroup(order(access));
    expect(done).toEqual({ changes: [], notes: [expect.stringContaining('octo-org/nowhere')] });
    expect(onForge().repositoryIds).toEqual(new Set([findRepositoryId('demo')]));
  });

  it('is looked up once for all groups of the organisation', async () => {
    const names = [1, 2, 3].map((number) => `${name}-${number}`);
    for (const group of names) await github.reconcileRunnerGroup({ ...order(ALL), group });
    const before = bench.simulator.log.since().length;
    const look = { notBefore: Date.now() };
    for (const group of names) await github.reconcileRunnerGroup({ ...order(ALL), group }, look);
    expect(callsSince(before)).toEqual(['GET /orgs/octo-org/actions/runner-groups']);
  });

  it('is looked up again when it was deleted and made again with another id', async () => {
    const register = () => github.register({ ...order(ALL), runner: `${name}-${Math.random()}`, labels: [] });
    await register();
    // Now its id is known.
    await register();
    const { id } = onForge();
    // So that the next one gets another id.
    await bench.api('POST', '/orgs/octo-org/actions/runner-groups', { name: `${name}-other` });
    bench.sim.state.accounts.get('octo-org')?.groups.delete(id);
    await expect(register()).resolves.toMatchObject({ runnerId: expect.any(Number) });
    expect(onForge().id).not.toBe(id);
  });
});

describe('a runner group that Baton did not make, and that the configuration adopts', () => {
  const NARROW = {
    name: '',
    visibility: 'selected',
    selected_repository_ids: [1],
    allows_public_repositories: false,
    restricted_to_workflows: true,
    selected_workflows: [WORKFLOWS[0]],
  };
  const make = async (settings: object): Promise<RunnerGroup> => {
    const answer = await bench.api('POST', '/orgs/octo-org/actions/runner-groups', { ...settings, name });
    expect(answer.status).toBe(201);
    return onForge();
  };

  it.each<[string, GroupAccess, string[]]>([
    ['everything', ALL, ['visibility', 'allows_public_repositories', 'restricted_to_workflows']],
    ['one more workflow', { repositories: [], allowPublic: false, workflows: WORKFLOWS }, ['selected_workflows']],
    [
      'one more repository',
      { repositories: ['second'], allowPublic: false, workflows: WORKFLOWS.slice(0, 1) },
      ['repositories lack second'],
    ],
  ])('is not given %s, and what differs is noted', async (_what, access, differences) => {
    const group = await make({ ...NARROW, selected_repository_ids: [] });
    const before = structuredClone(group);
    const { changes, notes } = await github.reconcileRunnerGroup(order({ ...access, adopt: true }));
    expect(changes).toEqual([]);
    expect(notes).toEqual([expect.stringContaining('Baton did not make it')]);
    for (const difference of differences) expect(notes[0]).toContain(difference);
    expect(group).toEqual(before);
  });

  it('loses the access that the configuration does not give', async () => {
    const group = await make({ visibility: 'all', allows_public_repositories: true });
    const { notes } = await github.reconcileRunnerGroup(
      order({ repositories: ['demo'], allowPublic: false, workflows: WORKFLOWS, adopt: true }),
    );
    expect(notes).toEqual([]);
    expect(group).toMatchObject({
      visibility: 'selected',
      allowsPublicRepositories: false,
      restrictedToWorkflows: true,
      repositoryIds: new Set([findRepositoryId('demo')]),
    });
  });
});

describe('the redelivery of webhooks', () => {
  const LOST = { fault: 'lose', action: 'queued', count: 1, delayMs: 0 } as const;

  /** Creates the only webhook for jobs, and one job whose webhook is lost. */
  function lose(kind: HookKind, target: string): () => void {
    bench.sim.state.hooks.clear();
    bench.sim.state.deliveries.clear();
    addHook(bench.sim, { kind, target, url: bench.receiver.url, secret: null });
    bench.sim.webhooks.faults.once.push({ ...LOST });
    bench.job(['run: "true"']);
    return () => bench.sim.state.hooks.clear();
  }

  it.each([
    ['organization', 'octo-org', { kind: 'organization', organization: 'octo-org' }],
    ['repository', 'octo-org/demo', { kind: 'repository', organization: 'octo-org', repository: 'demo' }],
  ] as const)('repeats the lost webhooks of one %s until they arrive', async (kind, target, hook) => {
    lose(kind, target);
    const look = { hook, since: Date.now() - 60_000, failing: new Map() };
    bench.receiver.answer = 503;
    const first = await github.redeliver(look);
    expect(first.again).toHaveLength(1);
    await bench.sim.webhooks.idle();
    // It failed again: `again` still has the time of its first delivery.
    const second = await github.redeliver({ ...look, failing: new Map(first.again) });
    expect(second.again).toEqual(first.again);
    bench.receiver.answer = 202;
    await github.redeliver(look);
    await bench.sim.webhooks.idle();
    expect((await github.redeliver(look)).again).toEqual([]);
  });

  it('ignores deliveries that are older than a day', async () => {
    lose('organization', 'octo-org');
    const [delivery] = bench.sim.state.deliveries.values();
    const longAgo = Date.now() - 25 * 3_600_000;
    const failing = new Map([[delivery?.guid ?? '', longAgo]]);
    const hook = { kind: 'organization', organization: 'octo-org' } as const;
    expect((await github.redeliver({ hook, since: Date.now() - 60_000, failing })).again).toEqual([]);
  });

  it('needs webhook.url when there are several webhooks for jobs', async () => {
    lose('organization', 'octo-org');
    addHook(bench.sim, { kind: 'organization', target: 'octo-org', url: 'http://other.test/', secret: null });
    const hook = { kind: 'organization', organization: 'octo-org' } as const;
    const look = { hook, since: Date.now() - 60_000, failing: new Map() };
    const ambiguous = await github.redeliver(look);
    expect(ambiguous).toMatchObject({ again: [], notes: [expect.stringContaining('set webhook.url')] });
    expect((await github.redeliver({ ...look, url: bench.receiver.url })).again).toHaveLength(1);
    expect((await github.redeliver({ ...look, url: 'http://unknown.test/' })).again).toEqual([]);
  });
});

describe('the search for waiting jobs', () => {
  it('finds jobs with the group’s labels in all repositories of the organisation', async () => {
    const waiting = bench.job(['run: "true"']);
    const scope = { organization: 'octo-org' };
    const labels = ['DEMO', 'linux'];
    const { jobs } = await github.listQueuedJobs({ scope, labels });
    expect(jobs.map(({ job }) => job.id)).toContain(waiting.id);
    const none = await github.listQueuedJobs({ scope, labels: ['other'] });
    expect(none.jobs).toEqual([]);
    expect(await github.getJob('octo-org/demo', waiting.id)).toMatchObject({
      action: 'queued',
      job: { id: waiting.id },
    });
    expect(await github.getJob('octo-org/demo', 1)).toBeUndefined();
  });
});

describe('the registration of a runner whose name is taken', () => {
  const orderOf = (runner: string) => ({
    ...order({ ...ALL, adopt: true }),
    group: 'Default',
    runner,
    labels: ['demo'],
  });
  const listIds = (runner: string): number[] =>
    [...bench.sim.state.runners.values()].filter((known) => known.name === runner).map(({ id }) => id);

  it('replaces what a lost answer left', async () => {
    const lost = await bench.register(`${name}-lost`);
    const { runnerId } = await github.register(orderOf(lost.name));
    expect(runnerId).not.toBe(lost.id);
    expect(listIds(lost.name)).toEqual([runnerId]);
  });

  it('does not touch a runner that came online', async () => {
    const online = await bench.online(`${name}-online`);
    const before = bench.simulator.log.since().length;
    await expect(github.register(orderOf(online.name))).rejects.toMatchObject({ code: 'REGISTRATION_DELAYED' });
    expect(listIds(online.name)).toEqual([online.id]);
    expect(callsSince(before).filter((call) => call.startsWith('DELETE'))).toEqual([]);
  });
});

describe('a job that is run again', () => {
  it('is busy while its run is running; any other refusal is an error', async () => {
    const { address } = bench.simulator;
    const runs = new GithubRuns(createGithubClient({ url: address, auth: { token: DEFAULT_TOKEN } }));
    const sim = new SimControl(address);
    const [job = 0] = await sim.jobs({ labels: ['demo'] });
    expect(await runs.rerunJob('octo-org/demo', job)).toBe('busy');
    await sim.start(job, 'proxy-a');
    await sim.complete(job, 'failure');
    await sim.apiFault({ method: 'POST', path: '/rerun', fault: 'forbidden', count: 1 });
    await expect(runs.rerunJob('octo-org/demo', job)).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
    expect(await runs.rerunJob('octo-org/demo', job)).toBe('rerunning');
  });
});
