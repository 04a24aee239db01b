import { cpSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { startChild, waitUntilReady, type Child } from '../../../deploy/servers/child.ts';
import { findFreePort } from '../../../contracts/lib/free-ports.ts';
import { credentialFor, LABEL, tokenFor } from './world.ts';

const MAIN = fileURLToPath(new URL('../../../services/proxy/main.ts', import.meta.url));
/** The simulator's token in all of these tests. */
export const FORGE_TOKEN = 'ghp_a_token_of_the_e2e_tests';

/** What a proxy needs around it; {@link DelegationWorld} is an example. */
export interface ProxySurroundings {
  /** A folder with the simulator's runner in `runner`; the proxy's folder is created beside it. */
  readonly dir: string;
  /** The URL of the simulator. */
  readonly forge: string;
  /** The URL of an ingress. */
  readonly url: string;
  onStop(cleanup: () => void): void;
}

export interface ProxyStart {
  env?: Record<string, string>;
  /** Replaces run.sh of the simulator's runner, which is renamed to `run-forge.sh`. */
  runScript?: string;
  /** Replaces config.sh, which is renamed to `config-forge.sh`. */
  configScript?: string;
  /** Whether to wait until the forge's runner is running. Default: true. */
  ready?: boolean;
  /** The user of the forge's runner and its jobs. Default: the proxy's own. */
  user?: string;
  /** Names of variables of `env` that are handed over too. */
  share?: string;
  /** The mode of the file with its credential. Default: it has a token instead. */
  credentialMode?: number;
  /** A command that runs the proxy, such as `unshare --mount`. */
  within?: string[];
}

export interface TestProxy {
  child: Child;
  url: string;
  /** The folder of the forge's runner. */
  directory: string;
  /** All lines of its log. */
  log(): string;
  /** The sum of the values of that metric in `/metrics`, of lines that contain `part`. */
  metric(name: string, part?: string): Promise<number>;
}

/** Gets a registration token for the organization from the simulator, as an administrator does on the forge. */
async function fetchRegistrationToken(surroundings: ProxySurroundings): Promise<string> {
  const response = await fetch(`${surroundings.forge}/api/v3/orgs/acme/actions/runners/registration-token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${FORGE_TOKEN}` },
  });
  return z.object({ token: z.string() }).parse(await response.json()).token;
}

/** Starts a real proxy as a process, with the simulator's runner in place of the forge's. */
export async function startProxy(
  surroundings: ProxySurroundings,
  name: string,
  { env = {}, runScript, configScript, ready = true, user, share = '', credentialMode, within = [] }: ProxyStart = {},
): Promise<TestProxy> {
  const folder = join(surroundings.dir, name);
  const directory = join(folder, 'runner');
  cpSync(join(surroundings.dir, 'runner'), directory, { recursive: true });
  for (const [name, content] of [
    ['run', runScript],
    ['config', configScript],
  ] as const) {
    if (content === undefined) continue;
    const script = join(directory, `${name}.sh`);
    renameSync(script, join(directory, `${name}-forge.sh`));
    writeFileSync(script, content, { mode: 0o755 });
  }
  const port = await findFreePort();
  const logFile = join(folder, 'log');
  const options = {
    name: name,
    url: `${surroundings.forge}/acme`,
    labels: LABEL,
    'orchestrator-url': surroundings.url,
    directory: directory,
    state: join(folder, 'state'),
    port: String(port),
    share,
    ...(user !== undefined && { 'runner-user': user }),
    ...(credentialMode !== undefined && { 'credential-file': join(folder, 'credential') }),
  };
  const credential = join(folder, 'credential');
  if (credentialMode !== undefined) writeFileSync(credential, credentialFor(name), { mode: credentialMode });
  const flags = user === undefined ? ['--same-user'] : [];
  const child = startChild({
    name,
    command: within[0] ?? process.execPath,
    args: [
      ...within.slice(1),
      ...(within.length > 0 ? [process.execPath] : []),
      MAIN,
      ...flags,
      ...Object.entries(options).flatMap(([option, value]) => [`--${option}`, value]),
    ],
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      ...(credentialMode === undefined && { RUNNER_TOKEN: tokenFor(name) }),
      BATON_REGISTRATION_TOKEN: await fetchRegistrationToken(surroundings),
      ...env,
    },
    logFile,
    graceSeconds: 60,
  });
  // A killed proxy leaves the forge's runner to the next proxy; in these tests there may be none.
  const pidFile = join(folder, 'state', `${name}.pid`);
  surroundings.onStop(() => {
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
