import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProxyHookWorld } from '../../support/proxy-hook-world.ts';

/** What a proxy's hook hands over, and what it prints. */

let world: ProxyHookWorld;
beforeAll(async () => {
  world = await ProxyHookWorld.start();
}, 120_000);
afterAll(() => world?.stop());

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
    const env = world.environment(hostile);
    const proxy = await world.startProxy({ share: Object.keys(hostile) });
    const { code, output } = await world.runHook(proxy, env, shell);
    expect(output).toMatch(/^::notice title=Baton::This job was handed over[^\n]*\n$/);
    expect(code).toBe(78);
    const job = await world.fetchJob(env);
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
  it('the proxy’s own variables stay there, also those that no list of secret names has', async () => {
    const own = {
      DB_PASS: 'x1',
      MYSQL_PASS: 'x2',
      PGPASS: 'x3',
      SLACK_URL: 'x4',
      COMPANY: 'x5',
      LANG: 'C',
      CIRCLE: 'x6',
    };
    const env = world.environment({ ...own, CI: 'true', TEAM_NAME: 'core', TEAM_SIZE: '4', RUNNER_OS: 'Linux' });
    expect(await world.runHook(await world.startProxy({ share: ['TEAM_*'] }), env)).toMatchObject({ code: 78 });
    const sent = await world.fetchEnvironment(env);
    expect(Object.keys(sent).sort()).toEqual(
      [
        'CI',
        'GITHUB_JOB',
        'GITHUB_REPOSITORY',
        'GITHUB_RUN_ATTEMPT',
        'GITHUB_RUN_ID',
        'GITHUB_WORKFLOW',
        'RUNNER_NAME',
        'RUNNER_OS',
        'RUNNER_TRACKING_ID',
        'TEAM_NAME',
        'TEAM_SIZE',
      ].sort(),
    );
    expect(sent).toMatchObject({ TEAM_NAME: 'core', CI: 'true' });
  });

  it('no variable that is or looks secret leaves the proxy, even where all are shared', async () => {
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
    };
    const kept = { MONKEY: 'm', TURKEYS: 't', KEYBOARD: 'k', HOME_URL: 'https://github.com/acme', CUSTOMER: 'c' };
    const env = world.environment({ ...secret, ...kept });
    expect(await world.runHook(await world.startProxy({ share: ['*'] }), env)).toMatchObject({ code: 78 });
    const sent = await world.fetchEnvironment(env);
    expect(Object.keys(sent).filter((name) => name in secret)).toEqual([]);
    expect(sent).toMatchObject(kept);
    expect(sent).toMatchObject({ GITHUB_REPOSITORY: 'acme/hello' });
    expect(JSON.stringify(sent)).not.toContain(world.token);
  });

  it('a job with too large an environment is handed over without its largest variables', async () => {
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`FILLER_${index}`, 'x'.repeat(8000)]));
    const env = world.environment({ ...many, HUGE: 'y'.repeat(100_000) });
    expect(await world.runHook(await world.startProxy({ share: ['*'] }), env)).toMatchObject({ code: 78 });
    const sent = await world.fetchEnvironment(env);
    expect(sent['HUGE']).toBeUndefined();
    expect(sent['GITHUB_RUN_ID']).toBe(env['GITHUB_RUN_ID']);
  });

  it('matrix and needs are sent if the workflow passes them to the hook', async () => {
    const env = world.environment({
      BATON_MATRIX: '{"os": "linux", "deep": {"a": [1]}}',
      BATON_NEEDS: '{"lint": {"result": "success", "outputs": {"token": "s3cret"}}}',
    });
    const proxy = await world.startProxy();
    expect(await world.runHook(proxy, env)).toMatchObject({ code: 78 });
    expect(await world.fetchJob(env)).toMatchObject({ matrix: { os: 'linux', deep: { a: [1] } }, needs: ['lint'] });
    const broken = world.environment({ BATON_MATRIX: '{nonsense', BATON_NEEDS: '17' });
    expect(await world.runHook(proxy, broken)).toMatchObject({ code: 78 });
    expect(await world.fetchJob(broken)).toMatchObject({ matrix: null, needs: null });
  });

  it('a refused job fails with the reason, and does not open the breaker', async () => {
    const proxy = await world.startProxy({ token: 'baton.forged.token' });
    const { code, output } = await world.runHook(proxy, world.environment());
    expect(code).toBe(65);
    expect(output).toMatch(
      /^::error title=Baton::This job was not handed over to an ephemeral runner: [^\n]*token[^\n]*\n$/,
    );
    expect(output).not.toContain('forged');
    expect(proxy.breaker).toMatchObject({ open: false, counts: { failed: 1, connectionFailures: 0 } });
  });

  it('the end of the attempt is reported once, and a failure of that fails nothing', async () => {
    const env = world.environment();
    const proxy = await world.startProxy();
    await world.runHook(proxy, env);
    const completed = async (): Promise<number> =>
      await world.ingress.metric('baton_delegation_requests_total', { route: '/api/jobs/:id/complete', result: 'ok' });
    const before = await completed();
    await proxy.handOver.reportEnd();
    await proxy.handOver.reportEnd();
    expect(await completed()).toBe(before + 1);
    const unreachable = await world.startProxy({ url: 'http://127.0.0.1:1' });
    await expect(unreachable.handOver.reportEnd()).resolves.toBeUndefined();
  });

  it('the breaker fails jobs at once, without a request, after three in a row that the orchestrator did not answer', async () => {
    const proxy = await world.startProxy({ url: 'http://127.0.0.1:1', breakerPauseMs: 600_000 });
    for (let hook = 0; hook < 3; hook++) {
      const { code, output } = await world.runHook(proxy, world.environment());
      expect(code).toBe(69);
      expect(output).toMatch(
        /^::error title=Baton::This job was not handed over to an ephemeral runner: [^\n]*Re-run it when[^\n]*\n$/,
      );
    }
    const { connectionFailures } = proxy.breaker.counts;
    expect(connectionFailures).toBeGreaterThanOrEqual(3);
    const heldBack = await world.runHook(proxy, world.environment());
    expect(heldBack.code).toBe(69);
    expect(heldBack.output).toContain('the orchestrator did not answer the last requests, so none was sent');
    expect(proxy.breaker).toMatchObject({
      open: true,
      counts: { handedOver: 0, failed: 4, heldBack: 1, connectionFailures },
    });
  }, 60_000);
});
