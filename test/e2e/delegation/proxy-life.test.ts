import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { SimControl } from '../../support/simulator-control.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import type { FaultProxy } from '../../support/fault-proxy.ts';
import type { TestService } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { startProxy, type ProxySurroundings, type TestProxy } from './proxy.ts';
import { startProxyWorld, type ProxyWorld } from './proxy-world.ts';
import { LABEL, tokenFor } from './world.ts';

/** The proxy program, with the simulator's runner in place of the forge's, a real ingress and NATS. */

const NAMES = ['crash', 'end-0', 'end-78', 'term'];
const [CRASH = '', END_0 = '', END_78 = '', TERM = ''] = NAMES;

/** A runner that exits with the code in the file `exit-with`, if there is one. Each start adds a line to `starts`. */
const RUN_SH = `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
echo started >> "$here/starts"
[ -e "$here/exit-with" ] && exit "$(cat "$here/exit-with")"
exec "$here/run-forge.sh" "$@"
`;

const folder = temporaryFolder('proxy-life');
const proxies: TestProxy[] = [];
let world: ProxyWorld;
let ingress: TestService;
let sim: SimControl;
let slow: FaultProxy;
let surroundings: ProxySurroundings;

beforeAll(async () => {
  world = await startProxyWorld(folder, NAMES);
  ({ ingress, sim, slow, surroundings } = world);
}, 180_000);

// A proxy that still ran would take the next test's job.
afterEach(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.child.stop()));
}, 120_000);
afterAll(async () => {
  await world?.stop();
  folder.remove();
}, 180_000);

const LONG = { timeout: 180_000 };

const crash = z.object({
  msg: z.literal('the forge’s runner crashed'),
  ms: z.number(),
  exitCode: z.number().nullable(),
});

/** The crashes in a proxy's log, oldest first. */
function findCrashes(proxy: TestProxy): z.infer<typeof crash>[] {
  return proxy
    .log()
    .trimEnd()
    .split('\n')
    .flatMap((line) => crash.safeParse(JSON.parse(line)).data ?? []);
}

const countStarts = ({ directory }: TestProxy): number =>
  readFileSync(join(directory, 'starts'), 'utf8').trimEnd().split('\n').length;

async function isReady({ url }: TestProxy): Promise<boolean> {
  return (await fetch(`${url}/readyz`)).ok;
}

describe('the proxy program', () => {
  it(
    'a runner that crashes is restarted with growing delays, which the metrics for uptime and restarts show',
    LONG,
    async () => {
      const proxy = await startProxy(surroundings, CRASH, { runScript: RUN_SH });
      proxies.push(proxy);
      await until(async () => expect(await proxy.metric('baton_proxy_uptime_seconds')).toBeGreaterThan(0));
      expect(await proxy.metric('baton_proxy_restarts_total')).toBe(0);
      await until(() => expect(countStarts(proxy)).toBe(1));

      const exitWith = join(proxy.directory, 'exit-with');
      writeFileSync(exitWith, '3');
      // Kills the runner and its child processes, as when the machine runs out of memory.
      const pid = Number(readFileSync(join(folder.path, CRASH, 'state', `${CRASH}.pid`), 'utf8'));
      process.kill(-pid, 'SIGKILL');
      await until(() => expect(findCrashes(proxy).length).toBeGreaterThanOrEqual(3));
      await until(async () => {
        expect(await isReady(proxy)).toBe(false);
        expect(await proxy.metric('baton_proxy_uptime_seconds')).toBe(0);
      });
      rmSync(exitWith);
      // A start that saw the file may seem to be up for a moment.
      const crashes = await until(async () => {
        const found = findCrashes(proxy);
        expect(await isReady(proxy)).toBe(true);
        expect(await proxy.metric('baton_proxy_uptime_seconds')).toBeGreaterThan(0);
        expect(await proxy.metric('baton_proxy_restarts_total')).toBe(found.length);
        // The proxy counts a runner as up before the script has written its line.
        expect(countStarts(proxy)).toBe(found.length + 1);
        return found;
      });
      expect(crashes.map(({ exitCode }) => exitCode)).toEqual([null, ...crashes.slice(1).map(() => 3)]);
      expect(crashes.map(({ ms }) => ms)).toEqual(crashes.map((_crash, index) => 1000 * 2 ** index));
    },
  );

  it.each([
    [0, END_0],
    [78, END_78],
  ])(
    'exit code %d of the runner is no crash: the proxy exits with it, and restarts nothing',
    LONG,
    async (code, name) => {
      const script = RUN_SH.replace('[ -e', `echo ${code} > "$here/exit-with"\n[ -e`);
      const proxy = await startProxy(surroundings, name, { runScript: script, ready: false });
      proxies.push(proxy);
      expect(await proxy.child.exited).toMatchObject({ code });
      expect(findCrashes(proxy)).toEqual([]);
      expect(countStarts(proxy)).toBe(1);
      expect(proxy.log()).toContain('the forge’s runner ended');
    },
  );

  it(
    'gives the forge’s registration token to config.sh where no argument list of a process shows it',
    LONG,
    async () => {
      const configScript = `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' > "$here/arguments"
printf %s "$ACTIONS_RUNNER_INPUT_TOKEN" > "$here/given"
exec "$here/config-forge.sh" "$@"
`;
      const proxy = await startProxy(surroundings, TERM, { configScript });
      proxies.push(proxy);
      const [seen, token] = ['arguments', 'given'].map((name) => readFileSync(join(proxy.directory, name), 'utf8'));
      expect(token).toMatch(/^\S{10,}$/);
      expect(seen).toContain('--disableupdate');
      expect(seen).not.toContain(token);
      await proxy.child.stop();
      rmSync(join(folder.path, TERM), { recursive: true });
    },
  );

  it('a proxy that receives SIGTERM during a job hands the job over first, then ends with 0', LONG, async () => {
    const proxy = await startProxy(surroundings, TERM);
    proxies.push(proxy);
    const open = world.closeGate();
    const [job = 0] = await sim.jobs({ labels: [LABEL] });
    await until(async () => expect(await sim.job(job)).toMatchObject({ status: 'in_progress', runner: TERM }));
    await until(() => expect(slow.calls.some(({ path }) => path === '/api/jobs/delegate')).toBe(true));
    await until(async () => expect(await proxy.metric('baton_proxy_busy')).toBe(1));
    const stopped = proxy.child.stop();
    await until(() => expect(proxy.log()).toContain('waiting for the current job to finish'));
    expect(proxy.child.running).toBe(true);
    expect(await sim.job(job)).toMatchObject({ status: 'in_progress' });
    open();
    expect(await stopped).toMatchObject({ code: 0 });
    expect(await sim.job(job)).toMatchObject({ status: 'completed', conclusion: 'failure', runner: TERM });
    const headers = { authorization: `Bearer ${tokenFor(TERM)}` };
    const answer = await fetch(`${ingress.address}/api/jobs`, { headers });
    expect(await answer.json()).toMatchObject({ jobs: [{ runnerName: TERM, status: 'queued' }] });
    expect(existsSync(join(folder.path, TERM, 'state', `${TERM}.pid`)), 'nothing is left of its runner').toBe(false);
  });
});
