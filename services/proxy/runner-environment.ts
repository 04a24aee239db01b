import { join, resolve } from 'node:path';
import { PROXY_ENV } from '../../contracts/messages/proxy-env.ts';
import type { RunnerUser } from './runner-user.ts';
import { selectShareable } from './shareable-variables.ts';

/** What the forge's runner and .NET need of a machine: where programs are, its language, its way to the network. */
const PASSED =
  /^(?:PATH|LANG|LANGUAGE|LC_\w+|TZ|TERM|HOSTNAME|(?:https?|no|all)_proxy|SSL_CERT_(?:FILE|DIR)|NODE_EXTRA_CA_CERTS|DOTNET_\w+|RUNNER_\w+|ACTIONS_RUNNER_\w+|ImageOS)$/i;
/** Secrets, and what the proxy itself sets. */
const KEPT = /^(?:RUNNER_TOKEN|RUNNER_LABELS|ACTIONS_RUNNER_INPUT_\w+|ACTIONS_RUNNER_HOOK_\w+)$/i;

export interface RunnerEnvironmentOptions {
  /** The folder of the forge's runner. */
  directory: string;
  /** Names of further variables that the runner gets; `*` matches any text. */
  share: readonly string[];
  /** The job-started hook. */
  hook: string;
  /** The proxy's socket. */
  socket: string;
  user: RunnerUser | undefined;
}

/** The environment of the forge's runner: no variable of the proxy's own but those that are named, and no secret of the proxy. */
export function createRunnerEnvironment(env: NodeJS.ProcessEnv, options: RunnerEnvironmentOptions): NodeJS.ProcessEnv {
  const { directory, share, hook, socket, user } = options;
  const passed = Object.entries(env).filter(([name]) => PASSED.test(name) && !KEPT.test(name));
  return {
    ...selectShareable(env, share),
    ...Object.fromEntries(passed),
    // The user's home would keep what a job leaves in it.
    ...(user === undefined
      ? { HOME: env['HOME'], USER: env['USER'] }
      : { HOME: join(resolve(directory), '_work'), USER: user.name, LOGNAME: user.name }),
    ACTIONS_RUNNER_HOOK_JOB_STARTED: resolve(hook),
    [PROXY_ENV.socket]: resolve(socket),
    BATON_NODE: process.execPath,
    // Otherwise run.sh does not pass SIGTERM on.
    RUNNER_MANUALLY_TRAP_SIG: '1',
  };
}
