import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { SimControl, SimJob } from '../../support/simulator-control.ts';
import type { Simulator } from '../../../services/simulator/simulator.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { describeUnless } from '../../support/describe-unless.ts';
import type { FaultProxy } from '../../support/fault-proxy.ts';
import { findGuardedProgram } from '../../support/guarded-program.ts';
import type { TestService } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { installListener, runAsUser } from './job-user.ts';
import { startProxy, type ProxySurroundings, type TestProxy } from './proxy.ts';
import { startProxyWorld, type ProxyWorld } from './proxy-world.ts';
import { LABEL, tokenFor } from './world.ts';

/**
 * What a hostile job can do on a proxy: nothing of it runs there; and what runs as the user of the proxy's jobs all the same (the test
 * starts it) finds no token, changes no program, hands over no job and outlives none.
 */

const NAMES = ['plain', 'hostile', 'full', 'killed'];
const [PLAIN = '', HOSTILE = '', FULL = '', KILLED = ''] = NAMES;
/** No account of this machine has it, and no test that runs beside this one. */
const UID = 70_000 + (process.pid % 20_000);

const isLinuxRoot = process.platform === 'linux' && process.getuid?.() === 0;
const folder = temporaryFolder('proxy-user');
const proxies: TestProxy[] = [];
let world: ProxyWorld;
let ingress: TestService;
let forge: Simulator;
let sim: SimControl;
let slow: FaultProxy;
let surroundings: ProxySurroundings;

beforeAll(async () => {
  chmodSync(folder.path, 0o755);
  world = await startProxyWorld(folder, NAMES);
  ({ ingress, forge, sim, slow, surroundings } = world);
}, 180_000);

afterEach(async () => {
  world.openGate();
  await Promise.all(proxies.splice(0).map((proxy) => proxy.child.stop()));
}, 120_000);
afterAll(async () => {
  await world?.stop();
  folder.remove();
}, 180_000);

const LONG = { timeout: 180_000 };

/** Starts a workflow of one job with these steps. Resolves with the job. */
async function pushJob(steps: string): Promise<SimJob> {
  const run = await sim.push(`
name: CI
on: push
jobs:
  build:
    runs-on: [self-hosted, ${LABEL}]
    steps:
${steps}
`);
  return await until(async () => {
    const found = (await sim.allJobs()).find(({ runId }) => runId === run);
    if (found === undefined) throw new Error('no job yet');
    return found;
  });
}

const countHandedOver = async (proxy: TestProxy): Promise<number> =>
  await proxy.metric('baton_proxy_hooks_total', 'handed-over');

const JOB = { labels: [LABEL], run: 'echo really ran' };

/** Creates a job, and waits until the proxy has handed it over and is ready for the next one. */
async function handOverNext(proxy: TestProxy): Promise<void> {
  const before = await countHandedOver(proxy);
  await sim.untilCompleted(await sim.jobs(JOB));
  expect(await countHandedOver(proxy)).toBe(before + 1);
}

describe('a job on a proxy', () => {
  const step = (condition: string, file: string): string =>
    `      - { if: '${condition}', run: 'echo ran >> ${file}' }`;

  it('runs none of its steps there, also none with `if: always()`, handed over or not', LONG, async () => {
    const mark = join(folder.path, 'mark');
    const steps = ['always()', 'failure()', 'cancelled()', 'success()'].map((condition) => step(condition, mark));
    // With a hook that fails and does nothing else, the forge's runner does run such steps.
    const hook = folder.write('only-fails.sh', 'exit 78\n');
    const script = `#!/bin/sh\nACTIONS_RUNNER_HOOK_JOB_STARTED=${hook} exec "$(dirname "$0")/run-forge.sh" "$@"\n`;
    const control = await startProxy(surroundings, PLAIN, { runScript: script });
    await sim.untilCompleted([(await pushJob(steps.join('\n'))).id]);
    expect(readFileSync(mark, 'utf8')).toBe('ran\nran\n');
    await control.child.stop();

    const proxy = await startProxy(surroundings, HOSTILE);
    proxies.push(proxy);
    const ended = join(folder.path, 'ended');
    const job = await pushJob(['always()', 'failure()', 'cancelled()'].map((at) => step(at, ended)).join('\n'));
    await sim.untilCompleted([job.id]);
    expect(await sim.job(job.id)).toMatchObject({ conclusion: 'failure', runner: HOSTILE });
    expect(await countHandedOver(proxy)).toBe(1);
    const { annotations = [] } = forge.sim.state.jobs.get(job.id) ?? {};
    expect(annotations.map(({ message }) => message).join('\n')).toContain('This job was handed over');

    slow.inject({ when: () => true, fault: { kind: 'answer', answer: { status: 403, body: '{}' } } });
    const refused = await pushJob(step('always()', ended));
    await sim.untilCompleted([refused.id]);
    slow.clear();
    expect(await sim.job(refused.id)).toMatchObject({ conclusion: 'failure', runner: HOSTILE });
    expect(await proxy.metric('baton_proxy_hooks_total', 'failed')).toBe(1);
    expect(existsSync(ended)).toBe(false);
    await handOverNext(proxy);
    expect(await proxy.metric('baton_proxy_restarts_total'), 'the end of a job is no crash').toBe(0);
  });

  it('runs none of its steps there if the proxy is killed while the hook waits', LONG, async () => {
    const removeListener = installListener(join(folder.path, 'runner'));
    try {
      const proxy = await startProxy(surroundings, KILLED);
      const release = world.closeGate();
      const calls = slow.calls.length;
      const mark = join(folder.path, 'killed-mark');
      const job = await pushJob(step('always()', mark));
      await until(() => slow.calls.length > calls);
      await proxy.child.kill();
      await sim.untilCompleted([job.id]);
      release();
      expect(await sim.job(job.id)).toMatchObject({ conclusion: 'failure', runner: KILLED });
      const { annotations = [] } = forge.sim.state.jobs.get(job.id) ?? {};
      expect(annotations.map(({ message }) => message).join('\n')).toContain('its proxy does not answer');
      expect(existsSync(mark)).toBe(false);
    } finally {
      removeListener();
    }
  });
});

describeUnless(isLinuxRoot ? undefined : 'only root on Linux', 'what runs as the user of a proxy’s jobs', () => {
  const user = `${UID}:${UID}`;
  const env = { SECRET_OF_THE_PROXY: 'hunter2', TEAM_NAME: 'core' };

  it('finds no secret, changes no program, hands over no job, and outlives no job', LONG, async () => {
    const proxy = await startProxy(surroundings, HOSTILE, { user, env, share: 'TEAM_*', credentialMode: 0o600 });
    proxies.push(proxy);
    const state = join(folder.path, HOSTILE, 'state');
    const { runner, job, release } = await holdJob(proxy, state);
    const credential = join(folder.path, HOSTILE, 'credential');
    const secret = readFileSync(credential, 'utf8').split('.').slice(-2).join('.');

    expect(readFileSync(`/proc/${runner}/status`, 'utf8')).toMatch(
      new RegExp(`^Uid:\\t${UID}\\t${UID}\\t${UID}\\t${UID}$[^]*^Groups:\\t *$[^]*^NoNewPrivs:\\t1$`, 'm'),
    );
    const found = await runAsUser(UID, `cat /proc/[0-9]*/{environ,cmdline} 2>/dev/null | tr '\\0' '\\n'`);
    expect(found, 'it can read the environment of the hook').toContain('BATON_PROXY_SOCKET=');
    expect(found).toContain('TEAM_NAME=core');
    for (const text of [secret, 'hunter2', 'BATON_REGISTRATION_TOKEN', 'RUNNER_TOKEN']) {
      expect(found).not.toContain(text);
    }

    expect(await runAsUser(UID, `cat ${credential} /proc/[0-9]*/environ`)).not.toContain(secret);

    const programs = ['run.sh', 'config.sh', 'runner.mjs', '.runner'].map((name) => join(proxy.directory, name));
    const hooks = ['job-started.sh', 'delegate.mjs'].map((name) => join(state, 'hooks', name));
    const created = [...['.env', '.path', 'new'].map((name) => join(proxy.directory, name)), join(state, 'new')];
    const workFile = join(proxy.directory, '_work', 'new');
    const changes = await runAsUser(
      UID,
      `
for file in ${[...programs, ...hooks, ...created, workFile].join(' ')}; do
  echo x 2>/dev/null >> $file && echo wrote $file
done
for file in ${[...programs, ...hooks, join(state, `${HOSTILE}.sock`), proxy.directory, state].join(' ')}; do
  mv $file $file.moved && echo moved $file
  rm -rf $file && echo removed $file
done 2>/dev/null
`,
    );
    expect(
      changes
        .trimEnd()
        .split('\n')
        .filter((line) => !line.includes('Permission denied')),
    ).toEqual([`wrote ${workFile}`]);
    expect([...programs, ...hooks].filter((path) => statSync(path).uid !== 0)).toEqual([]);

    const request = {
      kind: 'started',
      environment: { GITHUB_JOB: 'other', GITHUB_RUN_ID: '1', GITHUB_REPOSITORY: 'a/b' },
    };
    const requests = [request, { kind: 'list' }].map((value) => JSON.stringify(`${JSON.stringify(value)}\n`));
    const answers = await runAsUser(
      UID,
      `$NODE -e '
for (const request of [${requests.join(', ')}]) {
  const socket = require("net").connect(${JSON.stringify(join(state, `${HOSTILE}.sock`))}, () => socket.write(request));
  socket.on("connect", () => console.log("connected"));
  socket.on("data", (data) => console.log("answer " + data));
}'`,
    );
    expect(answers).toBe('connected\nconnected\n');

    const leftover = Number(await runAsUser(UID, 'setsid sleep 1000 < /dev/null > /dev/null 2>&1 & echo $!'));
    expect(existsSync(`/proc/${leftover}`)).toBe(true);
    release();
    await sim.untilCompleted([job]);
    await until(() => !existsSync(`/proc/${leftover}`));
    await until(async () => expect(await proxy.metric('baton_proxy_leftovers_total')).toBeGreaterThanOrEqual(1));
    expect(await proxy.metric('baton_proxy_refusals_total', 'second')).toBe(1);
    expect(await proxy.metric('baton_proxy_refusals_total', 'malformed')).toBe(1);
    await until(() => !existsSync(workFile));

    await handOverNext(proxy);
    const headers = { authorization: `Bearer ${tokenFor(HOSTILE)}` };
    const { jobs } = z
      .object({ jobs: z.array(z.object({ id: z.string(), runId: z.string() })) })
      .parse(await (await fetch(`${ingress.address}/api/jobs`, { headers })).json());
    expect(jobs.map(({ runId }) => runId)).not.toContain('1');
    const own = await fetch(`${ingress.address}/api/jobs/${jobs[0]?.id}`, { headers });
    expect(await own.json()).toMatchObject({ environment: { TEAM_NAME: 'core', CI: 'true' } });
  });

  it(
    'a proxy whose folders that user could replace, whose credential it could read, or whose user another proxy has, does not start',
    LONG,
    async () => {
      const proxy = await startProxy(surroundings, HOSTILE, { user });
      proxies.push(proxy);
      const second = await startProxy(surroundings, FULL, { user, ready: false });
      expect(await second.child.exited).toMatchObject({ code: 1 });
      expect(second.log()).toContain(`another proxy on this machine uses user ${user}`);
      const open = join(folder.path, 'open');
      cpSync(join(folder.path, 'runner'), join(open, 'runner'), { recursive: true });
      chmodSync(open, 0o777);
      const third = await startProxy({ ...surroundings, dir: open }, PLAIN, { user: String(UID + 1), ready: false });
      expect(await third.child.exited).toMatchObject({ code: 1 });
      expect(third.log()).toContain(`user ${UID + 1} can change ${open}`);
      const readable = { user: String(UID + 1), ready: false, credentialMode: 0o644 };
      const fourth = await startProxy(surroundings, PLAIN, readable);
      expect(await fourth.child.exited).toMatchObject({ code: 1 });
      expect(fourth.log()).toMatch(/user \d+ can read [^ ]*credential; jobs run as that user/);
    },
  );

  it(
    'a proxy starts GitHub’s listener itself, and with an expired registration token the one that it has configured before',
    LONG,
    async () => {
      const removeListener = installListener(join(folder.path, 'runner'));
      // GitHub's run.sh writes a script beside itself at each start, and runs it: it must not be used.
      const runScript = '#!/bin/sh\nexit 1\n';
      try {
        const first = await startProxy(surroundings, FULL, { user, runScript });
        proxies.push(first);
        await handOverNext(first);
        await first.child.stop();
        const expired = { BATON_REGISTRATION_TOKEN: 'expired' };
        const second = await startProxy(surroundings, FULL, { user, env: expired });
        proxies.push(second);
        expect(second.log()).toContain('could not register again: using the earlier configuration');
        await handOverNext(second);
        expect(readdirSync(second.directory).filter((name) => name.endsWith('.earlier'))).toEqual([]);
        await second.child.stop();
        const third = await startProxy(surroundings, FULL, { user });
        proxies.push(third);
        expect(third.log()).toContain('configured the forge’s runner');
        await handOverNext(third);
      } finally {
        removeListener();
      }
    },
  );

  it('a proxy with a full disk, and then a read-only one, hands its jobs over as before', LONG, async () => {
    const state = join(folder.path, FULL, 'state');
    mkdirSync(state, { recursive: true });
    const within = ['unshare', '--mount', 'sh', '-c', `mount -t tmpfs -o size=4m tmpfs ${state} && exec "$@"`, 'sh'];
    const proxy = await startProxy(surroundings, FULL, { user, within });
    proxies.push(proxy);
    await handOverNext(proxy);
    const pid = String(findGuardedProgram(proxy.child));
    const seen = join('/proc', pid, 'root', state);
    expect(() => writeFileSync(join(seen, 'fill'), Buffer.alloc(8 * 1024 * 1024))).toThrow('ENOSPC');
    await handOverNext(proxy);
    execFileSync('nsenter', ['--mount', '-t', pid, 'mount', '-o', 'remount,ro', state]);
    expect(() => writeFileSync(join(seen, 'more'), 'x')).toThrow(/EROFS|ENOSPC/);
    await handOverNext(proxy);
    expect(await proxy.metric('baton_proxy_hooks_total', 'failed')).toBe(0);
  });
});

/** Has the proxy take a job, whose hand-over waits. @returns the process id of the forge's runner, and how to go on */
async function holdJob(proxy: TestProxy, state: string) {
  const release = world.closeGate();
  const calls = slow.calls.length;
  const [job = 0] = await sim.jobs(JOB);
  await until(() => slow.calls.slice(calls).some(({ path }) => path === '/api/jobs/delegate'));
  await until(async () => expect(await proxy.metric('baton_proxy_busy')).toBe(1));
  return { runner: readFileSync(join(state, `${HOSTILE}.pid`), 'utf8'), job, release };
}
