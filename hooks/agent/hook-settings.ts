import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AGENT_ENV } from '../../contracts/messages/agent-env.ts';
import type { BootstrapFile } from '../../contracts/messages/bootstrap-file.ts';
import { HOOK_SCRIPTS, type ResolvedHooks, type WrapperSettings } from '../../contracts/workflows/hook-settings.ts';

const STARTED = 'ACTIONS_RUNNER_HOOK_JOB_STARTED';
const COMPLETED = 'ACTIONS_RUNNER_HOOK_JOB_COMPLETED';

/** Of an image's own hook scripts, which have no settings. */
const SCRIPT_TIMEOUT_MS = 60_000;

/**
 * Makes the environment variables by which the forge's runner program finds the hooks, and the hooks the agent. The
 * group's hook settings go to a file beside the agent's socket that only this user may read: hooks may run after the
 * agent has ended. Hook scripts that the instance's image names itself run as parts of Baton's hooks.
 *
 * @param scripts the folder of the hook scripts
 * @param image the agent's own environment
 * @returns environment variables for the runner program
 */
export async function createHookEnv(
  { hooks: configured, socket }: BootstrapFile,
  scripts: string,
  image: NodeJS.ProcessEnv = process.env,
): Promise<NodeJS.ProcessEnv> {
  // A runner inside a job of another runner inherits that one's.
  const read = (name: string): string | undefined =>
    image[name]?.startsWith(scripts) ? undefined : image[name] || undefined;
  const hooks = addImageScripts(configured, { started: read(STARTED), completed: read(COMPLETED) });
  const shell = hooks?.shell ?? (process.platform === 'win32' ? 'pwsh' : 'sh');
  const extension = shell === 'pwsh' ? 'ps1' : 'sh';
  const env: NodeJS.ProcessEnv = {
    [STARTED]: join(scripts, `job-started.${extension}`),
    [COMPLETED]: join(scripts, `job-completed.${extension}`),
    [AGENT_ENV.socket]: socket,
    [AGENT_ENV.node]: process.execPath,
  };
  if (hooks === undefined) return env;
  const folder = join(dirname(socket), 'hooks');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'settings.json');
  await writeFile(file, JSON.stringify(hooks), { mode: 0o600 });
  const isAnyRequired = hooks.wrappers.some(({ required }) => required === true);
  return {
    ...env,
    [AGENT_ENV.hooks]: file,
    [AGENT_ENV.hookPolicy]: hooks.policy,
    ...(isAnyRequired ? { [AGENT_ENV.hookRequired]: '1' } : {}),
  };
}

/** The settings with the image's own hook scripts as a required part, unless the configuration names others. */
function addImageScripts(
  hooks: ResolvedHooks | undefined,
  image: NonNullable<WrapperSettings['scripts']>,
): ResolvedHooks | undefined {
  const configured = hooks?.wrappers.find(({ scripts }) => scripts !== undefined);
  const started = configured?.scripts?.started ?? image.started;
  const completed = configured?.scripts?.completed ?? image.completed;
  if (started === undefined && completed === undefined) return hooks;
  const own = configured ?? {
    id: HOOK_SCRIPTS,
    uses: HOOK_SCRIPTS,
    with: {},
    env: {},
    timeoutMs: SCRIPT_TIMEOUT_MS,
    required: true as const,
  };
  const others = (hooks?.wrappers ?? []).filter((one) => one !== configured);
  const none: ResolvedHooks = { policy: 'lenient', env: {}, path: [], notices: [], wrappers: [], secrets: [] };
  return { ...none, ...hooks, wrappers: [{ ...own, scripts: { started, completed } }, ...others] };
}
