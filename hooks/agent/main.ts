import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_ENV } from '../../contracts/agent-env.ts';
import type { BootstrapFile } from '../../contracts/agent.ts';
import { connectBus, type Bus } from '../../contracts/bus/connection.ts';
import { runnerInbox } from '../../contracts/bus/subjects.ts';
import { BatonError, messageOf } from '../../contracts/errors.ts';
import { createLogger } from '../../contracts/log.ts';
import type { RunnerSignal } from '../../contracts/messages/runner-signal.ts';
import { takeBootstrap } from './bootstrap.ts';
import { listenForHooks } from './hook-socket.ts';
import { secretsOf, Tail } from './mask.ts';
import { Outbox } from './outbox.ts';
import { startProgram, type ProgramExit } from './program.ts';
import { requestRegistration } from './registration.ts';

/** Set by the bundler. */
declare const BATON_AGENT_VERSION: string;

/** Bytes of the program's output that go out with `exited`. */
const TAIL_BYTES = 8192;
/** Time to get a registration, milliseconds: then the instance gives up, and another can be made. */
const REGISTRATION_BOUND_MS = 600_000;
/** Between SIGTERM and SIGKILL to the forge's runner program, milliseconds; backends wait longer than this for the agent. */
const STOP_GRACE_MS = 5000;
/** How long a stopped agent still tries to say its last word, milliseconds. */
const FAREWELL_MS = 2000;
/** The longest timer that Node takes, milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const log = createLogger('agent');

/**
 * The agent: from its bootstrap file to the end of the forge's runner program. Exits 0 when that program has ended,
 * whatever its code was, and 1 when it could not be started; says `exited` in both cases.
 */
async function main(): Promise<void> {
  const file = process.env[AGENT_ENV.bootstrap];
  if (!file) throw new BatonError('CONFIG_UNREADABLE', `${AGENT_ENV.bootstrap} names no bootstrap file`);
  const bootstrap = await takeBootstrap(file);
  const { runner } = bootstrap;

  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ runner, signal }, 'stopping');
      stop.abort();
    });
  }
  const expiry = expirySignal(new Date(bootstrap.expiresAt).getTime());
  const ended = AbortSignal.any([stop.signal, expiry]);

  log.info({ runner, version: BATON_AGENT_VERSION }, 'connecting to NATS');
  const connecting = connectBus({
    url: bootstrap.natsUrl,
    name: `agent ${runner}`,
    credentials: bootstrap.credentials === '' ? undefined : bootstrap.credentials,
    inboxPrefix: runnerInbox(runner),
  });
  const bus = await Promise.race([connecting, fired(ended)]);
  if (bus === undefined) {
    log.warn({ runner }, 'stopped before NATS answered');
    process.exit(stop.signal.aborted ? 0 : 1);
  }
  // After the end of a stopped agent's farewell, or of its credential, nothing is worth waiting for.
  const hopeless = new AbortController();
  expiry.addEventListener('abort', () => hopeless.abort());
  const outbox = new Outbox(bus, { abort: hopeless.signal, log });

  let code = 0;
  let exit: ProgramExit = { code: null, signal: null };
  const tail = new Tail(TAIL_BYTES);
  try {
    exit = await runProgram(bus, bootstrap, { outbox, tail, ended });
    log.info({ runner, ...exit }, 'the runner program ended');
  } catch (error) {
    code = stop.signal.aborted ? 0 : 1;
    const said = ended.aborted ? 'stopped before the runner program began' : messageOf(error);
    log.error({ runner, code: error instanceof BatonError ? error.code : undefined }, said);
    tail.add(`${said}\n`);
  }
  const farewell = outbox.send({ ...base(runner), kind: 'exited', ...exit, logTail: tail.toString() });
  const afterStop = async (): Promise<void> => {
    await fired(stop.signal);
    await sleep(FAREWELL_MS);
    hopeless.abort();
  };
  await Promise.race([farewell, afterStop()]);
  process.exit(code);
}

/** Registers, starts the program, says `online`, and waits for its end. */
async function runProgram(
  bus: Bus,
  bootstrap: BootstrapFile,
  { outbox, tail, ended }: { outbox: Outbox; tail: Tail; ended: AbortSignal },
): Promise<ProgramExit> {
  const { runner } = bootstrap;
  await listenForHooks({ socket: bootstrap.socket, runner, send: (signal) => outbox.send(signal), log });
  const jitConfig = await requestRegistration(bus, {
    runner,
    agentVersion: BATON_AGENT_VERSION,
    boundMs: REGISTRATION_BOUND_MS,
    abort: ended,
    log,
  });
  ended.throwIfAborted();
  const program = await startProgram({
    program: bootstrap.program,
    jitConfig,
    secrets: secretsOf(jitConfig, bootstrap.credentials),
    env: programEnv(bootstrap.socket),
    onOutput(line) {
      tail.add(line);
      process.stdout.write(line);
    },
  });
  const stopProgram = (): void => program.stop(STOP_GRACE_MS);
  ended.addEventListener('abort', stopProgram);
  if (ended.aborted) stopProgram();
  void outbox.send({
    ...base(runner),
    kind: 'online',
    agentVersion: BATON_AGENT_VERSION,
    host: hostname().slice(0, 255),
  });
  return program.exited;
}

/** The agent's own environment, less what led to the secrets, plus the way to the hooks. */
function programEnv(socket: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ACTIONS_RUNNER_HOOK_JOB_STARTED: join(import.meta.dirname, 'job-started.sh'),
    ACTIONS_RUNNER_HOOK_JOB_COMPLETED: join(import.meta.dirname, 'job-completed.sh'),
    [AGENT_ENV.socket]: socket,
    [AGENT_ENV.node]: process.execPath,
  };
  delete env[AGENT_ENV.bootstrap];
  return env;
}

function base(runner: string): Pick<RunnerSignal, 'version' | 'id' | 'runner' | 'at'> {
  return { version: 1, id: randomUUID(), runner, at: new Date().toISOString() };
}

/** Resolves when the signal fires. */
function fired(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined));
  });
}

/** Fires at that time (milliseconds of the epoch), however far away it is. */
function expirySignal(at: number): AbortSignal {
  const controller = new AbortController();
  const arm = (): void => {
    const left = at - Date.now();
    if (left <= 0) controller.abort();
    else setTimeout(arm, Math.min(left, MAX_TIMER_MS)).unref();
  };
  arm();
  return controller.signal;
}

main().catch((error: unknown) => {
  log.fatal({ code: error instanceof BatonError ? error.code : undefined }, messageOf(error));
  process.exit(1);
});
