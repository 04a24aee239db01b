import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { getErrorMessage } from '../../contracts/errors.ts';
import { createDelegationId } from '../../contracts/lib/delegation-id.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { describeWrongFields } from '../../contracts/lib/schema-errors.ts';
import { HANDED_OVER } from '../../contracts/messages/proxy-env.ts';
import type { HookAnswer, HookRequest } from '../../contracts/messages/proxy-hook.ts';
import { BreakerOpen, OrchestratorUnavailable, type HandOverBreaker } from './breaker.ts';
import { readJobContext, type ProxyIdentity } from './job-context.ts';
import type { OrchestratorClient } from './orchestrator-client.ts';

/** The hook's exit code when there was no answer, and when the job was refused. */
const EXIT = { unavailable: 69, refused: 65 } as const;
/** The hook may be faster than the line by which the forge's runner says that it has a job. */
const JOB_TIMEOUT_MS = 5000;

/** Why the proxy did not serve a request on its socket. */
export type HookRefusal = 'no-job' | 'second' | 'malformed';

export interface HandOverOptions {
  identity: ProxyIdentity;
  client: OrchestratorClient;
  breaker: HandOverBreaker;
  log: Logger;
}

/**
 * Hands over the one job of each run of the forge's runner. The first request wins: no step of a job runs before its hook, and what
 * runs afterwards can neither hand over another job nor ask for one.
 */
export class HandOver {
  readonly #options: HandOverOptions;
  readonly #refusals: Record<HookRefusal, number> = { 'no-job': 0, second: 0, malformed: 0 };
  #job = Promise.withResolvers<true>();
  #isUsed = false;
  #delegation: string | undefined;

  constructor(options: HandOverOptions) {
    this.#options = options;
  }

  /** Requests on the socket that were not served, by reason. */
  get refusals(): Readonly<Record<HookRefusal, number>> {
    return this.#refusals;
  }

  /** The forge's runner is about to start, and nothing of its last job runs any more: it may have one job. */
  begin(): void {
    this.#job = Promise.withResolvers();
    this.#isUsed = false;
    this.#delegation = undefined;
  }

  /** The forge's runner has a job. */
  jobStarted(): void {
    this.#job.resolve(true);
  }

  refuse(reason: HookRefusal): void {
    this.#refusals[reason] += 1;
    this.#options.log.warn({ reason }, 'refused a request on the proxy’s socket');
  }

  /**
   * Hands the job over. Never rejects.
   *
   * @returns undefined for a second request: it is no hook's
   */
  async answer(request: HookRequest): Promise<HookAnswer | undefined> {
    const hasJob = await Promise.race([this.#job.promise, sleep(JOB_TIMEOUT_MS, false, { ref: false })]);
    if (this.#isUsed) {
      this.refuse('second');
      return undefined;
    }
    if (!hasJob) {
      this.refuse('no-job');
      return toFailure(EXIT.refused, 'this proxy has no job. Contact the administrators of this proxy.');
    }
    this.#isUsed = true;
    const { identity, client, breaker } = this.#options;
    try {
      const context = readJobContext(request.environment, identity);
      const id = await breaker.execute(() => client.delegate(context));
      this.#delegation = createDelegationId(context);
      return {
        exitCode: HANDED_OVER,
        level: 'notice',
        text: `This job was handed over to an ephemeral runner (delegation ${id}). This attempt fails on purpose, and the proxy shuts its runner down: Baton re-runs the job on the ephemeral runner in a moment.`,
      };
    } catch (error) {
      const problem = error instanceof z.ZodError ? describeWrongFields(error) : getErrorMessage(error);
      const isUnavailable = error instanceof OrchestratorUnavailable || error instanceof BreakerOpen;
      const advice = isUnavailable
        ? 'Re-run it when the orchestrator can be reached again'
        : 'Contact the administrators of this proxy';
      const text = `${problem.replace(/\.$/, '')}. None of its steps ran. ${advice}.`;
      return toFailure(isUnavailable ? EXIT.unavailable : EXIT.refused, text);
    }
  }

  /** Reports that the attempt has ended here, if a job was handed over. Never rejects: the forge reports it too. */
  async reportEnd(): Promise<void> {
    const id = this.#delegation;
    this.#delegation = undefined;
    if (id === undefined) return;
    try {
      await this.#options.client.complete(id);
    } catch (error) {
      this.#options.log.info({ delegation: id, err: error }, 'could not report the end of the attempt');
    }
  }
}

function toFailure(exitCode: number, problem: string): HookAnswer {
  return { exitCode, level: 'error', text: `This job was not handed over to an ephemeral runner: ${problem}` };
}
