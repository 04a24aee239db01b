import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { getErrorMessage } from '../../contracts/errors.ts';
import { PROXY_ENV } from '../../contracts/messages/proxy-env.ts';
import {
  hookAnswer,
  MAX_HOOK_ENVIRONMENT,
  MAX_HOOK_VARIABLE,
  type HookAnswer,
} from '../../contracts/messages/proxy-hook.ts';
import { toAnnotation } from '../lib/workflow-command.ts';

/**
 * The program of a proxy's job-started hook. It holds no secret: it sends its environment to the proxy's socket, prints the answer
 * as an annotation, and waits for the proxy to end this attempt, so that no further step starts.
 */

/** The exit code when the proxy does not answer. */
const NO_ANSWER = 69;
/** Longer than the proxy takes to end the attempt, by force in the end. */
const END_TIMEOUT_MS = 90_000;

/** The program of GitHub's runner that runs this hook's job. */
const LISTENER = 'Runner.Listener';
/** How long it may take to end this hook once it shuts down. */
const SHUTDOWN_TIMEOUT_MS = 30_000;

/**
 * Does what the proxy does after its answer, where the proxy does not: shuts GitHub's runner down, which ends this hook and starts no
 * further step. Returns if this hook runs under no such process, or is not ended.
 */
async function shutDownRunner(): Promise<void> {
  try {
    for (let pid = process.ppid; pid > 1;) {
      const [program = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (basename(program) === LISTENER) {
        process.kill(pid, 'SIGINT');
        await sleep(SHUTDOWN_TIMEOUT_MS);
        return;
      }
      pid = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    }
  } catch {
    // It has ended, or this is another system than Linux: the exit code must do.
  }
}

/** The variables that fit into a request, the forge's own first. */
function selectFitting(env: NodeJS.ProcessEnv): Record<string, string> {
  const isForges = (name: string): number => Number(/^(GITHUB|RUNNER)_/.test(name));
  const selected: [string, string][] = [];
  let length = 0;
  for (const [name, value] of Object.entries(env).sort(([a], [b]) => isForges(b) - isForges(a))) {
    if (value === undefined || name === '' || value.length > MAX_HOOK_VARIABLE) continue;
    length += name.length + value.length;
    if (length > MAX_HOOK_ENVIRONMENT) break;
    selected.push([name, value]);
  }
  return Object.fromEntries(selected);
}

/** @throws Error if the proxy closes the connection without an answer */
async function ask(socket: Socket): Promise<HookAnswer> {
  socket.write(`${JSON.stringify({ kind: 'started', environment: selectFitting(process.env) })}\n`);
  for await (const line of createInterface({ input: socket })) return hookAnswer.parse(JSON.parse(line));
  throw new Error('the proxy closed the connection');
}

async function print(level: HookAnswer['level'], text: string): Promise<void> {
  await new Promise<void>((done) => process.stdout.write(`${toAnnotation(level, text, 'Baton')}\n`, () => done()));
}

async function main(): Promise<number> {
  const socket = connect(process.env[PROXY_ENV.socket] ?? '');
  const failed = new Promise<never>((_done, reject) => socket.on('error', reject));
  failed.catch(() => undefined);
  let answer: HookAnswer;
  try {
    answer = await Promise.race([ask(socket), failed]);
  } catch (error) {
    await print(
      'error',
      `This job was not handed over to an ephemeral runner: its proxy does not answer (${getErrorMessage(error)}). Contact the administrators of this proxy.`,
    );
    await shutDownRunner();
    return NO_ANSWER;
  }
  await print(answer.level, answer.text);
  socket.end();
  await sleep(Number(process.env[PROXY_ENV.endTimeout]) || END_TIMEOUT_MS);
  await shutDownRunner();
  return answer.exitCode;
}

process.exit(await main());
