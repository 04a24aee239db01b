import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createDelegationId } from '../../../contracts/lib/delegation-id.ts';
import { readProxyState } from '../../../contracts/lib/proxy-state.ts';
import { createTokenKey, signToken } from '../../../contracts/lib/proxy-token.ts';
import { writeHookFolder } from '../../../services/proxy/hook-folder.ts';
import { testGroup, writeConfig } from '../../support/config.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { startNats, type TestNats } from '../../support/nats.ts';
import { startService, type TestService } from '../../support/service.ts';

/** A proxy's hook scripts, run as the forge's runner runs them, with a real ingress. */

const folder = temporaryFolder('proxy-hooks');
const key = createTokenKey();
const issued = Math.floor(Date.now() / 1000);
const token = signToken(key.privateKey, { proxy: 'proxy-a', issued, expires: issued + 3600 });
let nats: TestNats;
let ingress: TestService;
let scripts: string;

beforeAll(async () => {
  scripts = await writeHookFolder(join(folder.path, 'hooks with a space'));
  nats = await startNats();
  const config = writeConfig(folder.path, {
    nats: nats.address,
    groups: [testGroup('ephemeral', ['team', 'ephemeral', 'container'])],
    delegation: {
      token_keys: [key.publicKey],
      proxies: [{ names: ['proxy-a'], labels: ['team'], group: 'ephemeral' }],
    },
  });
  ingress = await startService('ingress', { config, env: { WEBHOOK_SECRET: 's' } });
  await ingress.ready();
}, 120_000);

afterAll(async () => {
  await ingress?.stop();
  await nats?.stop();
  folder.remove();
});

let jobs = 0;

/** The environment of a hook of a new job. */
function environment(more: Record<string, string> = {}): Record<string, string> {
  jobs += 1;
  return {
    PATH: '/usr/bin:/bin',
    BATON_NODE: process.execPath,
    GITHUB_JOB: 'build',
    GITHUB_RUN_ID: String(1000 + jobs),
    GITHUB_RUN_ATTEMPT: '1',
    GITHUB_REPOSITORY: 'acme/hello',
    GITHUB_WORKFLOW: 'CI',
    RUNNER_NAME: 'proxy-a',
    RUNNER_TRACKING_ID: `github_${jobs}`,
    ORCHESTRATOR_URL: ingress.address,
    RUNNER_TOKEN: token,
    RUNNER_LABELS: 'team, linux',
    BATON_PROXY_STATE: join(folder.path, 'state', `${jobs}.json`),
    ...more,
  };
}

interface Ran {
  code: number;
  output: string;
}

function run(script: string, env: Record<string, string>, shell = 'sh'): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(`/bin/${shell}`, ['-e', join(scripts, script)], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr });
    });
  });
}

function findDelegationId(env: Record<string, string>): string {
  return createDelegationId({
    repository: env['GITHUB_REPOSITORY'] ?? '',
    runId: env['GITHUB_RUN_ID'] ?? '',
    runAttempt: 1,
    jobId: env['GITHUB_JOB'] ?? '',
    runnerName: 'proxy-a',
    trackingId: env['RUNNER_TRACKING_ID'] ?? '',
  });
}

/** What the orchestrator knows of that hook's job. */
async function fetchJob(env: Record<string, string>): Promise<Record<string, unknown>> {
  const response = await fetch(`${ingress.address}/api/jobs/${findDelegationId(env)}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(response.status).toBe(200);
  return z.record(z.string(), z.unknown()).parse(await response.json());
}

describe.each(['bash', 'sh'])('under %s', (shell) => {
  it('a job is handed over with any environment', async () => {
    const hostile = {
      LINES: 'one\ntwo\r\nthree\n',
      QUOTES: `"double" 'single' \`back\` \\" \\\\ \\n`,
      EQUALS: 'a=b==c',
      COMMAND: '$(touch /tmp/owned) `id` ; rm -rf / && echo | cat > x',
      JSON: '{"a": [1, "}", null]}, "extra": true',
      CONTROL: '\u0001\u0007\u001b[31m\t\u2028',
      UNICODE: '😀 ünïcödé 漢字',
      WORKFLOW_COMMAND: '::error::not mine%0A',
      EMPTY: '',
      GITHUB_JOB: 'build "x" = $y',
      GITHUB_WORKFLOW: 'CI\n"; DROP',
    };
    const env = environment(hostile);
    const { code, output } = await run('job-started.sh', env, shell);
    expect(output).toMatch(/^::notice title=Baton::This job was handed over[^\n]*\n$/);
    expect(code).toBe(78);
    const job = await fetchJob(env);
    expect(job['environment']).toMatchObject(hostile);
    expect(job).toMatchObject({
      jobId: hostile.GITHUB_JOB,
      workflow: hostile.GITHUB_WORKFLOW,
      runAttempt: 1,
      labels: ['team', 'linux'],
      status: 'queued',
    });
  });
});

describe('a proxy’s hooks', () => {
  it('no secret variable leaves the proxy', async () => {
    const secret = {
      ACTIONS_RUNTIME_TOKEN: 'x1',
      ACTIONS_CACHE_URL: 'x2',
      GITHUB_TOKEN: 'x3',
      NPM_TOKEN: 'x4',
      DB_PASSWORD: 'x5',
      AWS_SECRET_ACCESS_KEY: 'x6',
      AWS_ACCESS_KEY_ID: 'x7',
      MY_API_KEY: 'x8',
      SSH_PRIVATE_KEY: 'x9',
      MYSQL_PWD: 'x10',
      BASIC_AUTH: 'x11',
      SESSION_COOKIE: 'x12',
      SENTRY_DSN: 'x13',
      AZURE_CONNECTION_STRING: 'x14',
      GH_PAT: 'x15',
      INPUT_THING: 'x16',
      CLONE: 'https://me:hunter2@github.com/acme/hello',
      HEADER: 'Bearer abcdefghijklmnopqrstuvwx',
      WEB: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl',
      GH: 'ghp_abcdefghijklmnopqrstuvwxyz0123456789',
      PEM: '-----BEGIN RSA PRIVATE KEY-----\nMIIE\n',
      CUSTOMER_ONE: 'x17',
      customer_two: 'x18',
      EXACT: 'x19',
    };
    const kept = { MONKEY: 'm', TURKEYS: 't', KEYBOARD: 'k', HOME_URL: 'https://github.com/acme', CUSTOMER: 'c' };
    const env = environment({ ...secret, ...kept, BATON_LEAVE_OUT: 'CUSTOMER_*, EXACT' });
    expect(await run('job-started.sh', env)).toMatchObject({ code: 78 });
    const { environment: sent } = z
      .object({ environment: z.record(z.string(), z.string()) })
      .parse(await fetchJob(env));
    expect(Object.keys(sent).filter((name) => name in secret)).toEqual([]);
    expect(sent).toMatchObject(kept);
    expect(sent).toMatchObject({ GITHUB_REPOSITORY: 'acme/hello' });
    expect(JSON.stringify(sent)).not.toContain(token);
  });

  it('a job with too large an environment is handed over without its largest variables', async () => {
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`FILLER_${index}`, 'x'.repeat(8000)]));
    const env = environment({ ...many, HUGE: 'y'.repeat(100_000) });
    expect(await run('job-started.sh', env)).toMatchObject({ code: 78 });
    const { environment: sent } = z
      .object({ environment: z.record(z.string(), z.string()) })
      .parse(await fetchJob(env));
    expect(sent['HUGE']).toBeUndefined();
    expect(sent['GITHUB_RUN_ID']).toBe(env['GITHUB_RUN_ID']);
  });

  it('matrix and needs are sent if the workflow passes them to the hook', async () => {
    const env = environment({
      BATON_MATRIX: '{"os": "linux", "deep": {"a": [1]}}',
      BATON_NEEDS: '{"lint": {"result": "success", "outputs": {"token": "s3cret"}}}',
    });
    expect(await run('job-started.sh', env)).toMatchObject({ code: 78 });
    expect(await fetchJob(env)).toMatchObject({ matrix: { os: 'linux', deep: { a: [1] } }, needs: ['lint'] });
    const broken = environment({ BATON_MATRIX: '{nonsense', BATON_NEEDS: '17' });
    expect(await run('job-started.sh', broken)).toMatchObject({ code: 78 });
    expect(await fetchJob(broken)).toMatchObject({ matrix: null, needs: null });
  });

  it('a refused job fails with the reason, and does not open the breaker', async () => {
    const env = environment({ RUNNER_TOKEN: 'baton.forged.token' });
    const { code, output } = await run('job-started.sh', env);
    expect(code).toBe(65);
    expect(output).toMatch(
      /^::error title=Baton::This job was not handed over to an ephemeral runner: [^\n]*token[^\n]*\n$/,
    );
    expect(output).not.toContain('forged');
    expect(readProxyState(env['BATON_PROXY_STATE'] ?? '')).toMatchObject({ open: false, failed: 1 });
  });

  it('the completed hook reports the end of the attempt, and never fails', async () => {
    const env = environment();
    await run('job-started.sh', env);
    expect(await run('job-completed.sh', env)).toEqual({ code: 0, output: '' });
    expect(await run('job-completed.sh', environment({ ORCHESTRATOR_URL: 'http://127.0.0.1:1' }))).toMatchObject({
      code: 0,
    });
  });

  it('the shared breaker fails jobs at once while the orchestrator does not answer, and closes again later', async () => {
    const state = join(folder.path, 'state', 'shared.json');
    const unreachable = (): Record<string, string> =>
      environment({ ORCHESTRATOR_URL: 'http://127.0.0.1:1', BATON_PROXY_STATE: state });
    for (let hook = 0; hook < 3; hook++) {
      const { code, output } = await run('job-started.sh', unreachable());
      expect(code).toBe(69);
      expect(output).toMatch(
        /^::error title=Baton::This job was not handed over to an ephemeral runner: [^\n]*Re-run it when[^\n]*\n$/,
      );
    }
    const { connectionFailures } = readProxyState(state);
    expect(connectionFailures).toBeGreaterThanOrEqual(3);
    const heldBack = await run('job-started.sh', unreachable());
    expect(heldBack.code).toBe(69);
    expect(heldBack.output).toContain('the orchestrator did not answer the last requests, so none was sent');
    expect(readProxyState(state)).toMatchObject({ open: true, heldBack: 1, failed: 4, connectionFailures });
    const back = environment({ BATON_PROXY_STATE: state, BATON_BREAKER_PAUSE_MS: '1' });
    expect(await run('job-started.sh', back)).toMatchObject({ code: 78 });
    expect(readProxyState(state)).toMatchObject({ open: false, handedOver: 1 });
  }, 60_000);

  it('hooks that run in parallel lose no count', async () => {
    const state = join(folder.path, 'state', 'crowd.json');
    const hooks = Array.from({ length: 6 }, () => run('job-started.sh', environment({ BATON_PROXY_STATE: state })));
    expect((await Promise.all(hooks)).map(({ code }) => code)).toEqual([78, 78, 78, 78, 78, 78]);
    expect(readProxyState(state)).toMatchObject({ handedOver: 6, failed: 0 });
  }, 60_000);
});
