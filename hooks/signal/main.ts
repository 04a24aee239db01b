import { connect } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AGENT_ENV } from '../../contracts/agent-env.ts';
import type { HookLine, HookReply } from '../hook-line.ts';
import type { PublishSignal } from './publish.ts';

/**
 * What a hook script runs: tells that a job started or completed, and never fails or holds up the job. It is kept tiny
 * (no schema library, no NATS client), since it starts twice in every job. Exits 0, always.
 */

const MAX_BOUND_MS = 60_000;

/** Left for the answer's way back and for our own end, milliseconds. */
const MARGIN_MS = 150;

function boundMs(): number {
  const given = Number(process.env[AGENT_ENV.hookTimeout] ?? '');
  return given > 0 ? Math.min(given, MAX_BOUND_MS) : 2000;
}

function leave(warning?: string): never {
  if (warning !== undefined) console.log(`::warning::Baton: ${warning}`);
  process.exit(0);
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

/** Hands the line to the agent; resolves with its answer. */
function handOver(socket: string, line: HookLine): Promise<HookReply> {
  return new Promise((resolve, reject) => {
    let text = '';
    const connection = connect(socket, () => connection.write(`${JSON.stringify(line)}\n`));
    connection.setEncoding('utf8');
    connection.on('data', (chunk: string) => (text += chunk));
    connection.once('error', reject);
    connection.once('close', () => {
      // The agent is of the same bundle as this file, and what it says decides over nothing but a line of text.
      if (text.includes('"delivered"')) resolve({ state: 'delivered' });
      else if (text.includes('"queued"')) resolve({ state: 'queued' });
      else resolve({ state: 'refused', message: text.trim() || 'the agent gave no answer' });
    });
  });
}

async function signal(kind: HookLine['kind'], waitMs: number): Promise<void> {
  const line: HookLine = { version: 1, kind, job: jobOf(process.env), waitMs };
  const socket = process.env[AGENT_ENV.socket];
  if (socket) {
    const reply = await handOver(socket, line);
    if (reply.state === 'refused') leave(`the agent refused the signal that this job ${kind}: ${reply.message}`);
    if (reply.state === 'queued') console.log(`Baton: NATS does not answer; the agent keeps trying to say ${kind}.`);
    leave();
  }
  if (!process.env[AGENT_ENV.natsUrl]) leave(`${AGENT_ENV.socket} and ${AGENT_ENV.natsUrl} are both unset`);
  // Only where there is no agent is a NATS client loaded.
  const publisher: { publishSignal: PublishSignal } = await import(
    pathToFileURL(join(import.meta.dirname, 'publish.mjs')).href
  );
  await publisher.publishSignal(line);
  leave();
}

const kind = process.argv[2];
const bound = boundMs();
// Counted from the process's start, so that a slow start on a busy machine is part of the bound.
const left = Math.max(50, bound - process.uptime() * 1000);
setTimeout(() => leave(`nobody took the signal that this job ${kind} within ${bound} ms`), left);
if (kind !== 'started' && kind !== 'completed') leave('usage: signal.mjs started|completed');
signal(kind, Math.max(0, left - MARGIN_MS)).catch((error: unknown) => {
  leave(`the signal that this job ${kind} was not sent: ${error instanceof Error ? error.message : String(error)}`);
});
