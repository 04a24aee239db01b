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

/** How long the agent still tries to report the end of a runner that has reached its time to live. */
const LAST_REPORT_TIMEOUT_MS = 60_000;

export interface AgentOptions {
  /** Path of the bootstrap file, the input of `github-actions`. It is removed as soon as it has been read. */
  bootstrap: string;
  version: string;
  /** The folder of the hook scripts. */
  scripts: string;
  log: Logger;
}

/**
 * The agent: the Manager of `github-actions`, which reports over NATS. Runs until the forge's runner program has ended,
 * or until the runner's time to live is over.
 *
 * @returns the exit code: 0 if the program has ended, whatever its own exit code, or if the agent was stopped; 1 if the
 *   program could not be started. The signal `exited` is sent in all cases.
 * @throws BatonError CONFIG_UNREADABLE, CONFIG_INVALID: the bootstrap file
 */
export async function runAgent({ bootstrap: file, version, scripts, ...options }: AgentOptions): Promise<number> {
  const input = await takeBootstrap(file);
  const log = options.log.child({ runner: input.runner });
  const stop = createTerminationSignal(log);
  const timeoutMs = computeLifetimeMs(input);
  const connection = new RunnerConnection(log);
  const manager = new Manager({
    runner: new GithubActionsRunner({ connection, agentVersion: version, scripts }),
    reporter: natsReporter(connection, version),
    log,
    stop,
    reportUntil: createTimeoutSignal(timeoutMs + LAST_REPORT_TIMEOUT_MS),
  });
  const ended = new AbortController();
  const noticeFile = process.env[AGENT_ENV.interruption];
  if (noticeFile !== undefined) {
    const send = (signal: RunnerSignal): Promise<unknown> => connection.outbox.send(signal);
    void reportInterruption({ file: noticeFile, runner: input.runner, send, log }, ended.signal);
  }
  const { state, started } = await manager.execute({
    name: input.runner,
    platform: readPlatform(process.env),
    timeoutMs,
    input,
  });
  ended.abort();
  return started || state === 'stopped' ? 0 : 1;
}

/**
 * The runner's time to live. Measured by the clock of the machine that wrote the bootstrap file, if the file says when
 * that was: this instance's clock may be wrong, and would end the runner early, or at once.
 */
function computeLifetimeMs({ expiresAt, madeAt }: BootstrapFile): number {
  const start = madeAt === undefined ? Date.now() : new Date(madeAt).getTime();
  return Math.max(0, new Date(expiresAt).getTime() - start);
}
