import { createServer, type Server } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { createGithubClient } from '../../../activities/forges/github/client.ts';
import { Github } from '../../../activities/forges/github/github.ts';

/** Answers that GitHub gives now and then and the simulator does not: of renamed repositories, and of what is long over. */

const HOUR_MS = 3_600_000;
const ago = (hours: number): string => new Date(Date.now() - hours * HOUR_MS).toISOString();

const job = (id: number, more: object = {}) => ({
  id,
  run_id: 7,
  run_attempt: 1,
  name: 'build',
  labels: ['demo'],
  status: 'queued',
  created_at: ago(0.1),
  ...more,
});
const run = (id: number, more: object = {}) => ({
  id,
  status: 'queued',
  created_at: ago(0.1),
  updated_at: ago(0.1),
  run_attempt: 1,
  repository: { full_name: 'acme/hello', private: true },
  ...more,
});

let server: Server | undefined;

/** A GitHub with these answers by path; a text is the address of a redirect. */
async function createGithub(answers: Record<string, object | string>): Promise<Github> {
  const started = createServer((request, response) => {
    const answer = answers[new URL(request.url ?? '/', 'http://github.test').pathname.slice('/api/v3'.length)];
    if (typeof answer === 'string') {
      response.writeHead(301, { location: `/api/v3${answer}` }).end();
      return;
    }
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { message: 'Not Found' }));
  });
  server = started;
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  const address = started.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  const url = `http://127.0.0.1:${address.port}`;
  return new Github(createGithubClient({ url, auth: { token: 'ghp_test' } }));
}

afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
});

describe('a waiting job', () => {
  it('is found under the former name of its repository', async () => {
    const github = await createGithub({
      '/repos/acme/old/actions/jobs/1': '/repositories/5/actions/jobs/1',
      '/repositories/5/actions/jobs/1': job(1),
      '/repos/acme/old/actions/runs/7': '/repositories/5/actions/runs/7',
      '/repositories/5/actions/runs/7': run(7),
    });
    expect(await github.getJob('acme/old', 1)).toMatchObject({ action: 'queued', job: { id: 1 } });
  });

  it.each<[string, object]>([
    ['its run is over', { status: 'completed' }],
    ['its run has a newer attempt', { run_attempt: 2 }],
  ])('is over when %s, although GitHub says queued', async (_what, state) => {
    const github = await createGithub({
      '/repos/acme/hello/actions/jobs/1': job(1),
      '/repos/acme/hello/actions/runs/7': run(7, state),
    });
    expect(await github.getJob('acme/hello', 1)).toMatchObject({ action: 'completed', job: { id: 1 } });
  });
});

describe('the search for waiting jobs', () => {
  const look = async (runs: object[], jobs: object[], repository = 'hello') => {
    const github = await createGithub({
      [`/repos/acme/${repository}/actions/runs`]: { workflow_runs: runs },
      '/repos/acme/hello/actions/runs/7/jobs': { jobs },
    });
    return await github.listQueuedJobs({ scope: { organization: 'acme', repository }, labels: ['demo'] });
  };

  it.each<[string, object[], object[]]>([
    ['runs that are over', [run(7, { status: 'completed' })], [job(1)]],
    [
      'runs that were queued more than two days ago',
      [run(7, { created_at: ago(900), updated_at: ago(900) })],
      [job(1)],
    ],
    [
      'jobs that were queued more than two days ago',
      [run(7, { status: 'in_progress', created_at: ago(60), updated_at: ago(49) })],
      [job(1, { created_at: ago(49), started_at: ago(49) })],
    ],
  ])('ignores %s', async (_what, runs, jobs) => {
    expect((await look(runs, jobs)).jobs).toEqual([]);
  });

  it('finds a job whose environment was approved late', async () => {
    const late = await look([run(7, { created_at: ago(100) })], [job(1, { created_at: ago(100) })]);
    expect(late.jobs.map(({ job: { id } }) => id)).toEqual([1]);
  });

  it('notes that a repository has another name now', async () => {
    const { jobs, notes } = await look([run(7)], [job(1)], 'old');
    expect(jobs.map(({ repository }) => repository.fullName)).toEqual(['acme/hello']);
    expect(notes).toEqual(['acme/old is acme/hello now: change it in the configuration']);
  });
});
