import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AGENT_ENV } from '../../contracts/messages/agent-env.ts';
import type { BootstrapFile } from '../../contracts/messages/bootstrap-file.ts';

/**
 * Makes the environment variables by which the forge's runner program finds the hooks, and the hooks the agent. The
 * group's hook settings go to a file beside the agent's socket that only this user may read: hooks may run after the
 * agent has ended.
 *
 * @param scripts the folder of the hook scripts
 * @returns environment variables for the runner program
 */
export async function createHookEnv({ hooks, socket }: BootstrapFile, scripts: string): Promise<NodeJS.ProcessEnv> {
  const shell = hooks?.shell ?? (process.platform === 'win32' ? 'pwsh' : 'sh');
  const extension = shell === 'pwsh' ? 'ps1' : 'sh';
  const env: NodeJS.ProcessEnv = {
    ACTIONS_RUNNER_HOOK_JOB_STARTED: join(scripts, `job-started.${extension}`),
    ACTIONS_RUNNER_HOOK_JOB_COMPLETED: join(scripts, `job-completed.${extension}`),
    [AGENT_ENV.socket]: socket,
    [AGENT_ENV.node]: process.execPath,
  };
  if (hooks === undefined) return env;
  const folder = join(dirname(socket), 'hooks');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'settings.json');
  await writeFile(file, JSON.stringify(hooks), { mode: 0o600 });
  return { ...env, [AGENT_ENV.hooks]: file, [AGENT_ENV.hookPolicy]: hooks.policy };
}
