import { AGENT_ENV } from '../../contracts/messages/agent-env.ts';
import type { BootstrapFile } from '../../contracts/messages/bootstrap-file.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { RunnerSignal } from '../../contracts/messages/runner-signal.ts';
import { Manager } from '../action-runners/manager/manager.ts';
import { readPlatform } from '../action-runners/manager/runner-environment.ts';
import { createTerminationSignal } from '../action-runners/manager/termination-signal.ts';
import { createTimeoutSignal } from '../action-runners/manager/timer.ts';
import { RunnerConnection } from '../action-runners/reporters/runner-connection.ts';
import { natsReporter } from '../action-runners/reporters/nats.ts';
import { GithubActionsRunner } from '../action-runners/runners/github-actions.ts';
import { takeBootstrap } from './bootstrap.ts';
import { reportInterruption } from './interruption.ts';

/** How long the agent still tries to tell the end of a runner whose time to live is over, milliseconds. */
const LAST_WORDS_MS = 60_000;

export interface AgentOptions {
  /** Path of the bootstrap file, which is removed right after reading: the input manifest of `github-actions`. */
  bootstrap: string;
  version: string;
  /** Where the hook scripts are. */
  scripts: string;
  log: Logger;
}

/**
 * The agent: the Manager of `github-actions`, with NATS for its reports, from its bootstrap file to the end of the forge's runner
 * program, or of its time to live.
 *
 * @returns the exit code: 0 when that program has ended, whatever its code was, or when the agent was stopped; 1 when it
 *   could not be started. `exited` is said in all cases.
 * @throws BatonError CONFIG_UNREADABLE, CONFIG_INVALID: of the bootstrap file
 */
export async function runAgent({ bootstrap: file, version, scripts, ...options }: AgentOptions): Promise<number> {
  const input = await takeBootstrap(file);
  const log = options.log.child({ runner: input.runner });
  const stop = createTerminationSignal(log);
  const timeoutMs = computeLifetimeMs(input);
  const link = new RunnerConnection(log);
  const manager = new Manager({
    runner: new GithubActionsRunner({ link, agentVersion: version, scripts }),
    reporter: natsReporter(link, version),
    log,
    stop,
    reportUntil: createTimeoutSignal(timeoutMs + LAST_WORDS_MS),
  });
  const over = new AbortController();
  const notices = process.env[AGENT_ENV.interruption];
  if (notices !== undefined) {
    const send = (signal: RunnerSignal): Promise<unknown> => link.outbox.send(signal);
    void reportInterruption({ file: notices, runner: input.runner, send, log }, over.signal);
  }
  const { state, started } = await manager.execute({
    name: input.runner,
    platform: readPlatform(process.env),
    timeoutMs,
    input,
  });
  over.abort();
  return started || state === 'stopped' ? 0 : 1;
}

/**
 * How long this runner has to live, milliseconds. By the clock of whoever made the bootstrap file where that is told: this
 * instance's own may be wrong, and would end the runner early, or at once.
 */
function computeLifetimeMs({ expiresAt, madeAt }: BootstrapFile): number {
  const begun = madeAt === undefined ? Date.now() : new Date(madeAt).getTime();
  return Math.max(0, new Date(expiresAt).getTime() - begun);
}
