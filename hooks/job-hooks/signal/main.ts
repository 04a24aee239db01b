import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import type { HookLine } from '../../lib/hook-line.ts';
import type { RunHook } from '../wrappers/hook.ts';
import { toAnnotation } from '../../lib/workflow-command.ts';
import { sendToAgent } from './send-to-agent.ts';
import type { PublishSignal } from './publish.ts';

/**
 * What a hook script runs: tells that a job started or completed, and runs the group's wrappers where it has some. It is kept
 * tiny (no schema library, no NATS client), since it starts twice in every job. The signal is the first in and the last
 * out: a started job is known before any wrapper runs, a completed one when nothing of Baton's runs in it any more.
 *
 * Exits 0 unless the group's policy is strict and something failed.
 */

const MAX_BOUND_MS = 60_000;

/** Left for the answer's way back and for our own end, milliseconds. */
const MARGIN_MS = 150;

const isStrict = process.env[AGENT_ENV.hookPolicy] === 'strict';
let hasFailed = false;

function timeoutMs(): number {
  const given = Number(process.env[AGENT_ENV.hookTimeout] ?? '');
  return given > 0 ? Math.min(given, MAX_BOUND_MS) : 2000;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function fail(problem: string): void {
  hasFailed = true;
  const todo = 'What to do: tell this runner group’s administrators; its hooks are strict (hooks.policy).';
  const text = `Baton: ${problem}`;
  console.log(
    isStrict ? toAnnotation('error', `${text}. ${todo}`, 'Baton: a job hook failed') : toAnnotation('warning', text),
  );
}

const count = (text: string | undefined): number => {
  const number = Number(text);
  return Number.isSafeInteger(number) && number >= 0 ? number : 0;
};

function jobOf(env: NodeJS.ProcessEnv): HookLine['job'] {
  return {
    runId: count(env['GITHUB_RUN_ID']),
    runAttempt: count(env['GITHUB_RUN_ATTEMPT']),
    repository: (env['GITHUB_REPOSITORY'] ?? '').slice(0, 200),
    workflow: (env['GITHUB_WORKFLOW'] ?? '').slice(0, 500),
    jobKey: (env['GITHUB_JOB'] ?? '').slice(0, 500),
  };
}

async function publish(kind: HookLine['kind'], waitMs: number): Promise<void> {
  const line: HookLine = { version: 1, kind, job: jobOf(process.env), waitMs };
  const socket = process.env[AGENT_ENV.socket];
  if (socket) {
    const reply = await sendToAgent(socket, line);
    if (reply.state === 'refused') fail(`the agent refused the signal that this job ${kind}: ${reply.message}`);
    if (reply.state === 'queued') console.log(`Baton: NATS does not answer; the agent keeps trying to say ${kind}.`);
    return;
  }
  if (!process.env[AGENT_ENV.natsUrl]) {
    fail(`${AGENT_ENV.socket} and ${AGENT_ENV.natsUrl} are both unset`);
    return;
  }
  // Only where there is no agent is a NATS client loaded.
  const publisher: { publishSignal: PublishSignal } = await import(beside('hooks.mjs'));
  await publisher.publishSignal(line);
}

/** Publishes within the bound, whatever happens. @param spentMs of it, by the start of this process on a busy machine */
async function signal(kind: HookLine['kind'], spentMs: number): Promise<void> {
  const bound = timeoutMs();
  const left = Math.max(50, bound - spentMs);
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<'over'>((resolve) => (timer = setTimeout(() => resolve('over'), left)));
  try {
    const first = await Promise.race([publish(kind, Math.max(0, left - MARGIN_MS)), over]);
    if (first === 'over') fail(`nobody took the signal that this job ${kind} within ${bound} ms`);
  } catch (error) {
    fail(`the signal that this job ${kind} was not sent: ${messageOf(error)}`);
  }
  clearTimeout(timer);
}

async function wrappers(kind: HookLine['kind'], settings: string): Promise<void> {
  try {
    const { runHook }: { runHook: RunHook } = await import(beside('hooks.mjs'));
    const { failed } = await runHook(kind, settings);
    hasFailed ||= failed;
  } catch (error) {
    fail(messageOf(error));
  }
}

/** The address of another file of the bundle. */
const beside = (name: string): string => pathToFileURL(join(import.meta.dirname, name)).href;

async function main(kind: string | undefined): Promise<void> {
  const settings = process.env[AGENT_ENV.hooks];
  if (kind === 'started') {
    await signal(kind, process.uptime() * 1000);
    if (settings) await wrappers(kind, settings);
  } else if (kind === 'completed') {
    if (settings) await wrappers(kind, settings);
    await signal(kind, settings ? 0 : process.uptime() * 1000);
  } else {
    fail('usage: signal.mjs started|completed');
  }
}

await main(process.argv[2]);
process.exit(hasFailed && isStrict ? 1 : 0);
