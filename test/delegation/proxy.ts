import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { startChild, waitUntilReady, type Child } from '../../deploy/servers/child.ts';
import { freePorts } from '../../deploy/servers/ports.ts';
import { LABEL, tokenFor, type DelegationWorld } from './world.ts';

const MAIN = fileURLToPath(new URL('../../services/proxy/main.ts', import.meta.url));
const FORGE_TOKEN = 'ghp_a_token_of_the_e2e_tests';

export interface TestProxy {
  child: Child;
  url: string;
  /** All lines of its log. */
  log(): string;
  /** The sum of the lines of `/metrics` of that name that have that in them. */
  metric(name: string, part?: string): Promise<number>;
}

/** A token with which a runner may be configured for the organisation, as a person would get it from the forge. */
async function registrationToken(world: DelegationWorld): Promise<string> {
  const response = await fetch(`${world.cluster.sim.address}/api/v3/orgs/acme/actions/runners/registration-token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${FORGE_TOKEN}` },
  });
  return z.object({ token: z.string() }).parse(await response.json()).token;
}

/** A real proxy as a process of its own, with the stand-in for the forge's runner, configured and running. */
export async function startProxy(
  world: DelegationWorld,
  name: string,
  env: Record<string, string> = {},
): Promise<TestProxy> {
  const folder = join(world.cluster.dir, name);
  const directory = join(folder, 'runner');
  cpSync(join(world.cluster.dir, 'runner'), directory, { recursive: true });
  const [port = 0] = await freePorts(1);
  const logFile = join(folder, 'log');
  const options = {
    name: name,
    url: `${world.cluster.sim.address}/acme`,
    labels: LABEL,
    'orchestrator-url': world.url,
    directory: directory,
    state: join(folder, 'state'),
    port: String(port),
  };
  const child = startChild({
    name,
    command: process.execPath,
    args: [MAIN, ...Object.entries(options).flatMap(([option, value]) => [`--${option}`, value])],
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      RUNNER_TOKEN: tokenFor(name),
      BATON_REGISTRATION_TOKEN: await registrationToken(world),
      ...env,
    },
    logFile,
    graceSeconds: 60,
  });
  // A proxy that was killed leaves the forge's runner to the next one; here there may be none.
  const pidFile = join(folder, 'state', `${name}.json.pid`);
  world.cluster.onStop(() => {
    if (!existsSync(pidFile)) return;
    try {
      process.kill(-Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
    } catch {
      // It has ended.
    }
  });
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady(child, async () => (await fetch(`${url}/readyz`)).ok, 120_000);
  return {
    child,
    url,
    log: () => readFileSync(logFile, 'utf8'),
    metric: async (name, part = '') => {
      const text = await (await fetch(`${url}/metrics`)).text();
      return text
        .split('\n')
        .filter((line) => line.startsWith(name) && line.includes(part))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    },
  };
}
