import { generateKeyPairSync } from 'node:crypto';
import { createAppAuth } from '@octokit/auth-app';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { finishJob, startJob } from '../../services/simulator/jobs/finish.ts';
import type { Limits } from '../../services/simulator/settings.ts';
import type { Job } from '../../services/simulator/state.ts';
import { TestBench } from '../support/simulator.ts';
import { Description } from './forge/description.ts';
import { Driver, quietOctokit } from './forge/driver.ts';
import { startPrism, type Prism } from './forge/prism.ts';

/**
 * Calls every endpoint of the simulator with Octokit through Prism, which checks requests and answers against GitHub's
 * own OpenAPI description; and checks every webhook against the same description.
 */
const keys = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const RUNNER = { id: 7, name: 'one-runner', groupId: 1, groupName: 'Default' };
const ORG = { org: 'octo-org' };
const REPO = { owner: 'octo-org', repo: 'demo' };
const OWNERS = [
  ['/orgs/{org}', ORG],
  ['/repos/{owner}/{repo}', REPO],
] as const;

const identified = z.looseObject({ id: z.number() });

let bench: TestBench;
let prism: Prism;
let description: Description;
let driver: Driver;
let appToken = '';

beforeAll(async () => {
  bench = await TestBench.start({ app: { id: 5, publicKey: keys.publicKey }, timing: { busyLagMs: 0 } });
  prism = await startPrism(`${bench.simulator.address}/api/v3`);
  description = new Description();
  driver = new Driver(prism.url, description);
  appToken = (await app()({ type: 'app' })).token;
  driver.token = (await app()({ type: 'installation' })).token;
});
afterAll(async () => {
  await prism?.close();
  await bench?.dispose();
});

const app = () =>
  createAppAuth({
    appId: 5,
    privateKey: keys.privateKey,
    installationId: 1,
    request: quietOctokit(prism.url).request,
  });
const call: Driver['call'] = (...order) => driver.call(...order);
const parseId = (answer: unknown): number => identified.parse(answer).id;

/** Runs `during` with other limits, and forgets afterwards what they counted. */
async function withLimits(changed: Partial<Limits>, during: () => Promise<void>): Promise<void> {
  const before = { ...bench.sim.limits };
  bench.sim.limiter.reset();
  Object.assign(bench.sim.limits, changed);
  await during();
  Object.assign(bench.sim.limits, before);
  bench.sim.limiter.reset();
}

function finishOneJob(steps: string): Job {
  const job = bench.job([steps]);
  startJob(bench.sim, job, RUNNER);
  job.steps.push({
    number: 1,
    name: 'Set up job',
    status: 'completed',
    conclusion: 'success',
    startedAt: new Date().toISOString(),
    completedAt: new Date().toISOString(),
    log: ['hello'],
  });
  finishJob(bench.sim, job, 'failure');
  return job;
}

describe('the simulator’s REST API', () => {
  it('follows GitHub’s description for the App, its installations and limits', async () => {
    await call(200, 'GET /app', {}, appToken);
    await call(200, 'GET /app/installations', {}, appToken);
    await call(200, 'GET /app/installations/{installation_id}', { installation_id: 1 }, appToken);
    await call(404, 'GET /app/installations/{installation_id}', { installation_id: 99 }, appToken);
    await call(404, 'POST /app/installations/{installation_id}/access_tokens', { installation_id: 99 }, appToken);
    await call(201, 'POST /app/installations/{installation_id}/access_tokens', { installation_id: 1 }, appToken);
    const excessive = { installation_id: 1, permissions: { contents: 'write' } };
    await call(422, 'POST /app/installations/{installation_id}/access_tokens', excessive, appToken);
    await call(200, 'GET /orgs/{org}/installation', ORG, appToken);
    await call(200, 'GET /repos/{owner}/{repo}/installation', REPO, appToken);
    await call(401, 'GET /app');
    await call(200, 'GET /installation/repositories');
    await call(200, 'GET /rate_limit');
    expect(driver.problems).toEqual([]);
  });

  it.each(OWNERS)('follows GitHub’s description for the runners of %s', async (owner, target) => {
    const runners = `${owner}/actions/runners`;
    const order = { ...target, name: 'one', runner_group_id: 1, labels: ['demo', 'Linux'] };
    const made = z.object({ runner: identified }).parse(await call(201, `POST ${runners}/generate-jitconfig`, order));
    const one = { ...target, runner_id: made.runner.id };
    await call(409, `POST ${runners}/generate-jitconfig`, order);
    await call(404, `POST ${runners}/generate-jitconfig`, { ...order, name: 'two', runner_group_id: 99 });
    await call(422, `POST ${runners}/generate-jitconfig`, { ...order, name: 'x'.repeat(65) });
    await call(200, `GET ${runners}`, { ...target, name: 'one', per_page: 100, page: 1 });
    await call(200, `GET ${runners}/{runner_id}`, one);
    await call(201, `POST ${runners}/registration-token`, target);
    await call(201, `POST ${runners}/remove-token`, target);
    await call(200, `GET ${runners}/{runner_id}/labels`, one);
    await call(200, `POST ${runners}/{runner_id}/labels`, { ...one, labels: ['more'] });
    await call(200, `PUT ${runners}/{runner_id}/labels`, { ...one, labels: ['demo', 'other'] });
    await call(200, `DELETE ${runners}/{runner_id}/labels/{name}`, { ...one, name: 'other' });
    await call(404, `DELETE ${runners}/{runner_id}/labels/{name}`, { ...one, name: 'other' });
    await call(422, `DELETE ${runners}/{runner_id}/labels/{name}`, { ...one, name: 'Linux' });
    await call(200, `DELETE ${runners}/{runner_id}/labels`, one);
    const runner = bench.sim.state.runners.get(made.runner.id);
    const job = bench.job(['run: "true"']);
    if (!runner) throw new Error('the runner is gone');
    startJob(bench.sim, job, runner);
    runner.job = job;
    await call(422, `DELETE ${runners}/{runner_id}`, one);
    runner.job = null;
    await call(204, `DELETE ${runners}/{runner_id}`, one);
    await call(404, `DELETE ${runners}/{runner_id}`, one);
    await call(404, `GET ${runners}/{runner_id}`, one);
    await call(401, `GET ${runners}`, target, 'ghp_wrong');
    expect(driver.problems).toEqual([]);
  });

  it('follows GitHub’s description for runner groups', async () => {
    const groups = '/orgs/{org}/actions/runner-groups';
    const order = { ...ORG, name: 'builders', visibility: 'selected', allows_public_repositories: true };
    const group = { ...ORG, runner_group_id: parseId(await call(201, `POST ${groups}`, order)) };
    await call(409, `POST ${groups}`, order);
    await call(200, `GET ${groups}`, ORG);
    await call(200, `GET ${groups}/{runner_group_id}`, group);
    const workflows = {
      restricted_to_workflows: true,
      selected_workflows: ['octo-org/demo/.github/workflows/a.yml@main'],
    };
    await call(200, `PATCH ${groups}/{runner_group_id}`, { ...group, name: 'makers', ...workflows });
    const repository = { ...group, repository_id: bench.repository.id };
    await call(204, `PUT ${groups}/{runner_group_id}/repositories/{repository_id}`, repository);
    await call(200, `GET ${groups}/{runner_group_id}/repositories`, group);
    await call(204, `DELETE ${groups}/{runner_group_id}/repositories/{repository_id}`, repository);
    const chosen = { ...group, selected_repository_ids: [bench.repository.id] };
    await call(204, `PUT ${groups}/{runner_group_id}/repositories`, chosen);
    const { id } = await bench.register('member');
    await call(204, `PUT ${groups}/{runner_group_id}/runners/{runner_id}`, { ...group, runner_id: id });
    await call(200, `GET ${groups}/{runner_group_id}/runners`, group);
    await call(204, `DELETE ${groups}/{runner_group_id}`, group);
    await call(404, `GET ${groups}/{runner_group_id}`, group);
    await call(422, `DELETE ${groups}/{runner_group_id}`, { ...ORG, runner_group_id: 1 });
    expect(driver.problems).toEqual([]);
  });

  it('follows GitHub’s description for runs and jobs', async () => {
    const actions = '/repos/{owner}/{repo}/actions';
    const job = finishOneJob('run: exit 1');
    const one = { ...REPO, job_id: job.id };
    const run = { ...REPO, run_id: job.run.id };
    const attempt = { ...run, attempt_number: 1 };
    await call(200, `GET ${actions}/jobs/{job_id}`, one);
    // Prism follows redirects itself, so this call bypasses it. The description has no body to check.
    driver.noteCall(`GET ${actions}/jobs/{job_id}/logs`);
    const log = await bench.api('GET', `/repos/octo-org/demo/actions/jobs/${job.id}/logs`);
    expect(await log.text()).toBe('hello');
    expect(log.redirected).toBe(true);
    await call(409, `POST ${actions}/runs/{run_id}/cancel`, run);
    await call(201, `POST ${actions}/jobs/{job_id}/rerun`, one);
    await call(403, `POST ${actions}/jobs/{job_id}/rerun`, one);
    await call(200, 'GET /repos/{owner}/{repo}', REPO);
    await call(200, 'GET /orgs/{org}/repos', { ...ORG, sort: 'pushed', per_page: 1 });
    await call(200, `GET ${actions}/runs`, { ...REPO, status: 'queued' });
    await call(200, `GET ${actions}/runs/{run_id}`, run);
    await call(200, `GET ${actions}/runs/{run_id}/jobs`, { ...run, filter: 'all' });
    await call(200, `GET ${actions}/runs/{run_id}/attempts/{attempt_number}`, attempt);
    await call(200, `GET ${actions}/runs/{run_id}/attempts/{attempt_number}/jobs`, attempt);
    await call(404, `GET ${actions}/runs/{run_id}/attempts/{attempt_number}/jobs`, { ...attempt, attempt_number: 9 });
    await call(202, `POST ${actions}/runs/{run_id}/cancel`, run);
    await call(201, `POST ${actions}/runs/{run_id}/rerun-failed-jobs`, run);
    await call(202, `POST ${actions}/runs/{run_id}/force-cancel`, run);
    await call(201, `POST ${actions}/runs/{run_id}/rerun`, run);
    await call(404, `GET ${actions}/jobs/{job_id}`, { ...REPO, job_id: 1 });
    expect(driver.problems).toEqual([]);
  });

  it.each(OWNERS)('follows GitHub’s description for the webhooks of %s and their deliveries', async (owner, target) => {
    const hooks = `${owner}/hooks`;
    const config = { url: bench.receiver.url, content_type: 'json', secret: 'hush' };
    const hook = { ...target, hook_id: parseId(await call(201, `POST ${hooks}`, { ...target, name: 'web', config })) };
    await call(200, `GET ${hooks}`, target);
    await call(200, `PATCH ${hooks}/{hook_id}`, { ...hook, events: ['workflow_job'] });
    await call(204, `POST ${hooks}/{hook_id}/pings`, hook);
    finishOneJob('run: exit 1');
    await bench.sim.webhooks.idle();
    await call(200, `GET ${hooks}/{hook_id}`, hook);
    await deliveries(`${hooks}/{hook_id}/deliveries`, hook, driver.token);
    await call(204, `DELETE ${hooks}/{hook_id}`, hook);
    await call(404, `GET ${hooks}/{hook_id}`, hook);
    expect(driver.problems).toEqual([]);
  });

  it('follows GitHub’s description for the App’s deliveries', async () => {
    finishOneJob('run: exit 1');
    await bench.sim.webhooks.idle();
    await deliveries('/app/hook/deliveries', {}, appToken);
    expect(driver.problems).toEqual([]);
  });

  it.each([
    ['429', 429],
    ['403', 403],
    ['403-no-header', 403],
    ['403-abuse', 403],
  ] as const)('follows GitHub’s description above a secondary limit, in the form %s', async (secondaryForm, status) => {
    await withLimits({ secondaryPoints: 1, secondaryForm }, async () => {
      await call(status, 'POST /orgs/{org}/actions/runners/registration-token', ORG);
    });
    expect(driver.problems).toEqual([]);
  });

  it.each([403, 429] as const)('follows GitHub’s description above a primary limit: %s', async (primaryStatus) => {
    await withLimits({ primary: 0, primaryStatus }, async () => {
      await call(primaryStatus, 'GET /orgs/{org}/actions/runners', ORG);
    });
    expect(driver.problems).toEqual([]);
  });

  it('follows GitHub’s description when no more runners may be registered', async () => {
    const jit = 'POST /orgs/{org}/actions/runners/generate-jitconfig';
    const order = { ...ORG, name: 'too-many', runner_group_id: 1, labels: ['demo'] };
    await bench.register('first');
    await withLimits({ runnersPerGroup: 1 }, async () => {
      await call(422, jit, order);
    });
    await withLimits({ registrationsPerHour: 0, primaryStatus: 403 }, async () => {
      await call(403, jit, order);
    });
    await withLimits({ registrations: 1, secondaryForm: '429' }, async () => {
      await call(201, jit, order);
      await call(429, jit, { ...order, name: 'one-too-many' });
    });
    expect(driver.problems).toEqual([]);
  });

  it('follows GitHub’s description when an App or its token is refused', async () => {
    const weak = await app()({ type: 'installation', permissions: { metadata: 'read' } });
    await call(403, 'GET /orgs/{org}/actions/runners', ORG, weak.token);
    await call(204, 'DELETE /installation/token', {}, weak.token);
    await call(401, 'GET /orgs/{org}/actions/runners', ORG, weak.token);
    await bench.control('PATCH', '/apps/5', { suspended: true });
    await call(200, 'GET /app/installations/{installation_id}', { installation_id: 1 }, appToken);
    await call(403, 'POST /app/installations/{installation_id}/access_tokens', { installation_id: 1 }, appToken);
    await call(403, 'GET /orgs/{org}/actions/runners', ORG);
    await bench.control('PATCH', '/apps/5', { suspended: false });
    await bench.control('POST', '/faults/api', { fault: 'sso', app: 5 });
    await call(403, 'GET /orgs/{org}/actions/runners', ORG);
    expect(driver.problems).toEqual([]);
  });

  it('follows GitHub’s description for a repository that was renamed', async () => {
    await bench.control('PATCH', '/repos/octo-org/demo', { name: 'renamed' });
    // Prism and fetch follow redirections; so this call bypasses them.
    const former = await fetch(`${bench.simulator.address}/api/v3/repos/octo-org/demo`, {
      headers: { authorization: `Bearer ${driver.token}` },
      redirect: 'manual',
    });
    expect(former.status).toBe(301);
    expect(description.problems('basic-error', await former.json())).toEqual([]);
    await call(200, 'GET /repos/{owner}/{repo}', { ...REPO, repo: 'renamed' });
    await bench.control('PATCH', '/repos/octo-org/renamed', { name: 'demo' });
    expect(driver.problems).toEqual([]);
  });

  it('has no endpoint that these tests do not call', () => {
    const missing = bench.simulator.endpoints.filter(
      (endpoint) => !driver.driven.has(endpoint.replaceAll(/:\w+/g, '{}')),
    );
    expect(bench.simulator.endpoints.length).toBeGreaterThan(60);
    expect(missing).toEqual([]);
  });
});

async function deliveries(path: string, target: Record<string, unknown>, auth: string): Promise<void> {
  const [first] = z
    .array(identified)
    .parse(await call(200, `GET ${path}`, { ...target, per_page: 1, status: 'success' }, auth));
  const one = { ...target, delivery_id: first?.id };
  await call(200, `GET ${path}/{delivery_id}`, one, auth);
  await call(202, `POST ${path}/{delivery_id}/attempts`, one, auth);
  await call(400, `GET ${path}`, { ...target, cursor: 'nonsense' }, auth);
  await call(404, `GET ${path}/{delivery_id}`, { ...target, delivery_id: 1 }, auth);
}

describe('the simulator’s webhooks', () => {
  it('have the shape that GitHub publishes', async () => {
    await bench.control('PUT', '/settings', { protectedEnvironments: ['production'] });
    bench.push('jobs: {ship: {runs-on: demo, environment: production, steps: [{run: "true"}]}}');
    bench.push('jobs: {no: {runs-on: demo, if: "false", steps: [{run: "true"}]}}');
    await bench.control('POST', `/runs/${bench.job(['run: "true"']).run.id}/cancel`);
    await bench.control('POST', '/ping');
    await bench.sim.webhooks.idle();
    const seen = new Set<string>();
    for (const { headers, body } of bench.receiver.received) {
      const event = String(headers['x-github-event']);
      seen.add([event, body.action].join(' ').trim());
      expect(description.webhookProblems(event, body.action ?? null, body), `${event} ${body.action}`).toEqual([]);
    }
    expect([...seen].toSorted()).toEqual([
      'ping',
      'workflow_job completed',
      'workflow_job in_progress',
      'workflow_job queued',
      'workflow_job waiting',
    ]);
  });
});
