import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { getErrorMessage } from '../../contracts/errors.ts';
import { createDelegationId } from '../../contracts/lib/delegation-id.ts';
import { HANDED_OVER, PROXY_ENV } from '../../contracts/messages/proxy-env.ts';
import { toAnnotation } from '../lib/workflow-command.ts';
import { BreakerOpen, OrchestratorUnavailable, SharedBreaker } from './breaker.ts';
import { readJobContext } from './job-context.ts';
import { OrchestratorClient } from './orchestrator-client.ts';
import { describeWrongFields } from '../../contracts/lib/schema-errors.ts';

/**
 * The program of a proxy's hooks. `started` hands the job over and exits with 78; `completed` reports that this attempt
 * has ended. A failure becomes an annotation of the job; the exit code then is 69 (no answer) or 65 (refused).
 */
const EXIT = { unavailable: 69, refused: 65 } as const;
const REQUEST_TIMEOUT_MS = 10_000;
const BREAKER_PAUSE_MS = 30_000;

function annotate(level: 'notice' | 'error', text: string): void {
  console.log(toAnnotation(level, text, 'Baton'));
}

const parsePositive = (text: string | undefined, defaultValue: number): number => {
  const number = Number(text);
  return number > 0 ? number : defaultValue;
};

async function started(env: NodeJS.ProcessEnv): Promise<number> {
  const context = readJobContext(env);
  try {
    const id = await createBreaker(env).execute(() => createClient(env).delegate(context));
    annotate(
      'notice',
      `This job was handed over to an ephemeral runner (delegation ${id}). This attempt fails on purpose: Baton re-runs the job on that runner in a moment.`,
    );
    return HANDED_OVER;
  } catch (error) {
    const reason = getErrorMessage(error).replace(/\.$/, '');
    const isUnavailable = error instanceof OrchestratorUnavailable || error instanceof BreakerOpen;
    annotate(
      'error',
      `This job was not handed over to an ephemeral runner: ${reason}. None of its steps ran. ${isUnavailable ? 'Re-run it when the orchestrator can be reached again' : 'Contact the administrators of this proxy'}.`,
    );
    return isUnavailable ? EXIT.unavailable : EXIT.refused;
  }
}

async function completed(env: NodeJS.ProcessEnv): Promise<number> {
  try {
    await createClient(env).complete(createDelegationId(readJobContext(env)));
  } catch {
    // The forge reports the end of the attempt too.
  }
  return 0;
}

function createClient(env: NodeJS.ProcessEnv): OrchestratorClient {
  const timeoutMs = parsePositive(env[PROXY_ENV.requestTimeout], REQUEST_TIMEOUT_MS);
  return new OrchestratorClient(env[PROXY_ENV.orchestratorUrl] ?? '', env[PROXY_ENV.token] ?? '', timeoutMs);
}

function createBreaker(env: NodeJS.ProcessEnv): SharedBreaker {
  const name = (env['RUNNER_NAME'] ?? 'proxy').replaceAll(/[^\w.-]/g, '_');
  const file = env[PROXY_ENV.state] ?? join(tmpdir(), `baton-proxy-${name}.json`);
  return new SharedBreaker(file, parsePositive(env[PROXY_ENV.breakerPause], BREAKER_PAUSE_MS));
}

try {
  process.exitCode = process.argv[2] === 'completed' ? await completed(process.env) : await started(process.env);
} catch (error) {
  // The environment is not that of a hook.
  const problem = error instanceof z.ZodError ? describeWrongFields(error) : getErrorMessage(error);
  annotate('error', `This job was not handed over to an ephemeral runner: ${problem}. None of its steps ran.`);
  process.exitCode = EXIT.refused;
}
