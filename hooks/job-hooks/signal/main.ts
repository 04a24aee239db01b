import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import type { HookLine } from '../../lib/hook-line.ts';
import { toAnnotation } from '../../lib/workflow-command.ts';
import type { HookParts } from '../hooks.ts';
import { sendToAgent } from './send-to-agent.ts';

/**
 * The program of the hook scripts: signals that a job started or completed, and runs the group's wrappers, if it has
 * any. It is kept very small (no schema library, no NATS client), because it starts twice in every job. The started
 * signal is sent before the wrappers run, the completed signal after them: so Baton knows of a job early, and knows
 * when the hooks are done with it.
 *
 * Exits with 0 unless something failed and the group's policy is strict, or the part that failed is required.
 */

const DEFAULT_TIMEOUT_MS = 2000;
const MAX_TIMEOUT_MS = 60_000;

/** Reserved for the answer's way back and for the end of this process. */
const MARGIN_MS = 150;

const isStrict = process.env[AGENT_ENV.hookPolicy] === 'strict';
const isAnyRequired = process.env[AGENT_ENV.hookRequired] === '1';
let hasFailed = false;

function readTimeoutMs(): number {
  const given = Number(process.env[AGENT_ENV.hookTimeout] ?? '');
  return given > 0 ? Math.min(given, MAX_TIMEOUT_MS) : DEFAULT_TIMEOUT_MS;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** @param isRequired it fails the job whatever the policy */
function fail(problem: string, isRequired = false): void {
  hasFailed ||= isStrict || isRequired;
  const message = `Baton: ${problem}`;
  const reason = isStrict ? 'It has strict hooks (hooks.policy: strict)' : 'It has a hook that is required';
  const help = `What to do: contact the administrators of this runner group. ${reason}, so a hook that fails also fails the job.`;
  console.log(
    isStrict || isRequired
      ? toAnnotation('error', `${message}. ${help}`, 'Baton: a job hook failed')
      : toAnnotation('warning', message),
  );
}

const parseCount = (text: string | undefined): number => {
  const number = Number(text);
  return Number.isSafeInteger(number) && number >= 0 ? number : 0;
};

function readJob(env: NodeJS.ProcessEnv): HookLine['job'] {
  return {
    runId: parseCount(env['GITHUB_RUN_ID']),
    runAttempt: parseCount(env['GITHUB_RUN_ATTEMPT']),
    repository: (env['GITHUB_REPOSITORY'] ?? '').slice(0, 200),
    workflow: (env['GITHUB_WORKFLOW'] ?? '').slice(0, 500),
    jobKey: (env['GITHUB_JOB'] ?? '').slice(0, 500),
  };
}

async function loadHookParts(): Promise<HookParts> {
  const url = pathToFileURL(join(import.meta.dirname, 'hooks.mjs')).href;
  const { hookParts }: { hookParts: HookParts } = await import(url);
  return hookParts;
}

async function publish(kind: HookLine['kind'], waitMs: number): Promise<void> {
  const line: HookLine = { version: 1, kind, job: readJob(process.env), waitMs };
  const socket = process.env[AGENT_ENV.socket];
  if (socket) {
    const reply = await sendToAgent(socket, line);
    if (reply.state === 'refused') fail(`the agent refused the signal that this job ${kind}: ${reply.message}`);
    if (reply.state === 'queued') {
      console.log(`Baton: NATS does not answer yet; the agent will retry the signal that this job ${kind}.`);
    }
    return;
  }
  if (!process.env[AGENT_ENV.natsUrl]) {
    fail(`the signal that this job ${kind} was not sent: neither ${AGENT_ENV.socket} nor ${AGENT_ENV.natsUrl} is set`);
    return;
  }
  // The NATS client is loaded only for a runner without an agent.
  const parts = await loadHookParts();
  await parts.publishSignal(line);
}

/**
 * Publishes the signal within the hook's timeout, or reports that it could not. Never rejects.
 *
 * @param spentMs how much of the timeout has passed already: on a busy machine, this process takes a while to start
 */
async function sendSignal(kind: HookLine['kind'], spentMs: number): Promise<void> {
  const timeoutMs = readTimeoutMs();
  const left = Math.max(50, timeoutMs - spentMs);
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<'timeout'>((resolve) => (timer = setTimeout(() => resolve('timeout'), left)));
  try {
    const first = await Promise.race([publish(kind, Math.max(0, left - MARGIN_MS)), timeout]);
    if (first === 'timeout') fail(`the signal that this job ${kind} was not accepted within ${timeoutMs} ms`);
  } catch (error) {
    fail(`the signal that this job ${kind} was not sent: ${messageOf(error)}`);
  }
  clearTimeout(timer);
}

async function runWrappers(kind: HookLine['kind'], settings: string): Promise<void> {
  try {
    const parts = await loadHookParts();
    const { failed } = await parts.runGroupHook(kind, settings);
    hasFailed ||= failed;
  } catch (error) {
    fail(messageOf(error), isAnyRequired);
  }
}

async function main(kind: string | undefined): Promise<void> {
  const settings = process.env[AGENT_ENV.hooks];
  if (kind === 'started') {
    await sendSignal(kind, process.uptime() * 1000);
    if (settings) await runWrappers(kind, settings);
  } else if (kind === 'completed') {
    if (settings) await runWrappers(kind, settings);
    await sendSignal(kind, settings ? 0 : process.uptime() * 1000);
  } else {
    fail('usage: signal.mjs started|completed');
  }
}

await main(process.argv[2]);
process.exit(hasFailed ? 1 : 0);
