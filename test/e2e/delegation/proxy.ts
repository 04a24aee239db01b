import { chmodSync, cpSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { startChild, waitUntilReady, type Child } from '../../../deploy/servers/child.ts';
import { findFreePorts } from '../../../deploy/servers/ports.ts';
import { LABEL, tokenFor } from './world.ts';

const MAIN = fileURLToPath(new URL('../../../services/proxy/main.ts', import.meta.url));
/** The simulator's, in every world of these tests. */
export const FORGE_TOKEN = 'ghp_a_token_of_the_e2e_tests';

/** What a proxy needs around it; a {@link DelegationWorld} has it. */
export interface ProxySurroundings {
  /** A folder with the stand-in for the forge's runner in `runner`; the proxy's own goes beside that. */
  readonly dir: string;
  /** The simulator. */
  readonly forge: string;
  /** An ingress, as hooks reach it. */
  readonly url: string;
  onStop(cleanup: () => void): void;
}

export interface ProxyStart {
  env?: Record<string, string>;
  /** In place of the stand-in's run.sh, which then is `run-forge.sh`. */
  runScript?: string;
  /** Whether to wait until the forge's runner runs. Default true. */
  ready?: boolean;
}

export interface TestProxy {
  child: Child;
  url: string;
  /** Where the forge's runner is. */
  directory: string;
  /** All lines of its log. */
  log(): string;
  /** The sum of the lines of `/metrics` of that name that have that in them. */
  metric(name: string, part?: string): Promise<number>;
}

/** A token with which a runner may be configured for the organisation, as a person would get it from the forge. */
async function registrationToken(place: ProxySurroundings): Promise<string> {
  const response = await fetch(`${place.forge}/api/v3/orgs/acme/actions/runners/registration-token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${FORGE_TOKEN}` },
  });
  return z.object({ token: z.string() }).parse(await response.json()).token;
}

/** A real proxy as a process of its own, with the stand-in for the forge's runner, configured and running. */
export async function startProxy(
  place: ProxySurroundings,
  name: string,
  { env = {}, runScript, ready = true }: ProxyStart = {},
): Promise<TestProxy> {
  const folder = join(place.dir, name);
  const directory = join(folder, 'runner');
  cpSync(join(place.dir, 'runner'), directory, { recursive: true });
  if (runScript !== undefined) {
    const script = join(directory, 'run.sh');
    renameSync(script, join(directory, 'run-forge.sh'));
    writeFileSync(script, runScript);
    chmodSync(script, 0o755);
  }
  const [port = 0] = await findFreePorts(1);
  const logFile = join(folder, 'log');
  const options = {
    name: name,
    url: `${place.forge}/acme`,
    labels: LABEL,
    'orchestrator-url': place.url,
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
      BATON_REGISTRATION_TOKEN: await registrationToken(place),
      ...env,
    },
    logFile,
    graceSeconds: 60,
  });
  // A proxy that was killed leaves the forge's runner to the next one; here there may be none.
  const pidFile = join(folder, 'state', `${name}.json.pid`);
  place.onStop(() => {
    if (!existsSync(pidFile)) return;
    try {
      process.kill(-Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
    } catch {
      // It has ended.
    }
  });
  const url = `http://127.0.0.1:${port}`;
  if (ready) await waitUntilReady(child, async () => (await fetch(`${url}/readyz`)).ok, 120_000);
  return {
    child,
    url,
    directory,
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
