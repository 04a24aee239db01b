import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identify } from '../../activities/backends/local/identify.ts';
import { createCredentialMint } from '../../activities/credentials/runner-credential.ts';
import { AGENT_ENV } from '../../contracts/messages/agent-env.ts';
import type { BootstrapFile } from '../../contracts/messages/bootstrap-file.ts';
import { connectBus, decode, encode, type Bus } from '../../contracts/lib/nats.ts';
import { STREAMS } from '../../contracts/messages/streams.ts';
import { wildcards } from '../../contracts/messages/subjects.ts';
import {
  registrationRequest,
  type RegistrationReply,
  type RegistrationRequest,
} from '../../contracts/messages/registration.ts';
import { runnerSignal, type RunnerSignal } from '../../contracts/messages/runner-signal.ts';
import { createOperatorSetup, type OperatorSetup } from '../../deploy/nats/operator.ts';
import { bundleAgent } from '../../services/backend/agent-bundle.ts';
import { temporaryFolder } from './cleanup.ts';
import { eachOnce } from './each-once.ts';
import { startNats, type TestNats } from './nats.ts';
import { setUpNats } from './set-up-nats.ts';
import { connectUnrestricted } from './unrestricted-bus.ts';

/** A JIT config as GitHub makes them: base64 of files, themselves base64. */
export const INNER_SECRET = 'inner-rsa-parameter-0123456789';
export const JIT_CONFIG = Buffer.from(
  JSON.stringify({
    '.runner': Buffer.from('{"agentName":"x"}').toString('base64'),
    '.credentials_rsaparams': Buffer.from(JSON.stringify({ d: INNER_SECRET })).toString('base64'),
  }),
).toString('base64');

/**
 * A NATS server in operator mode with Baton's streams, a registrar with answers of the test, and all signals that
 * arrived.
 */
export interface AgentWorld {
  nats: TestNats;
  folder: string;
  setup: OperatorSetup;
  /** The registrar's next answers, in order; the last one is repeated. */
  answers: RegistrationReply[];
  /** The requests that the registrar received, and when. */
  requests: readonly (RegistrationRequest & { at: number })[];
  mint(runner: string, expiresAt?: Date): Promise<string>;
  /** Resolves with the first signal of that runner and kind, also if it has yet to arrive. */
  signal<K extends RunnerSignal['kind']>(runner: string, kind: K): Promise<Extract<RunnerSignal, { kind: K }>>;
  findSignals(runner: string): RunnerSignal[];
  stop(): Promise<void>;
}

/** @param startServer default: a server on the loopback that can be halted and resumed */
export async function startAgentWorld(
  startServer?: (folder: string, operator: OperatorSetup) => Promise<{ url: string; stop(): Promise<void> }>,
): Promise<AgentWorld> {
  const { path: folder, remove } = temporaryFolder('agent');
  const setup = await createOperatorSetup(join(folder, 'operator'));
  const given = await startServer?.(folder, setup);
  const nats: TestNats = given
    ? { address: given.url, log: '', halt: refuseHalt, resume: refuseHalt, stop: () => given.stop() }
    : await startNats({ operator: setup });
  if (given) await setUpNats({ url: given.url, credentialsFile: setup.credentials.setup });
  const reader = await connectUnrestricted(join(folder, 'operator'), nats.address);
  const registrar = await connectBus({
    url: nats.address,
    name: 'registrar',
    credentialsFile: setup.credentials.orchestrator,
  });
  const answers: RegistrationReply[] = [{ ok: true, jitConfig: JIT_CONFIG }];
  const requests: (RegistrationRequest & { at: number })[] = [];
  registrar.subscribe(wildcards.register, {
    callback: (_error, message) => {
      requests.push({ ...registrationRequest.parse(decode(message.data)), at: performance.now() });
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      message.respond(encode(answer));
    },
  });
  const received: RunnerSignal[] = [];
  const waiting = new Set<() => void>();
  void pull(reader, (signal) => {
    received.push(signal);
    for (const look of waiting) look();
  });
  const mint = createCredentialMint(setup.runnerAccountPublicKey, setup.runnerSigningKeySeed);
  return {
    nats,
    folder,
    setup,
    answers,
    requests,
    mint: (runner, expiresAt = new Date(Date.now() + 600_000)) => mint({ runner, expiresAt: expiresAt.toISOString() }),
    signal: (runner, kind) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = received.filter((signal) => isKind(signal, kind)).find((signal) => signal.runner === runner);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    findSignals: (runner) => received.filter((signal) => signal.runner === runner),
    stop: async () => {
      await reader.close();
      await registrar.close();
      await nats.stop();
      remove();
    },
  };
}

function isKind<K extends RunnerSignal['kind']>(
  signal: RunnerSignal,
  kind: K,
): signal is Extract<RunnerSignal, { kind: K }> {
  return signal.kind === kind;
}

function refuseHalt(): never {
  throw new Error('this server can’t be halted');
}

async function pull(bus: Bus, onSignal: (signal: RunnerSignal) => void): Promise<void> {
  const stream = STREAMS.signals.name;
  const consumer = await bus.jetstream().consumers.get(stream, STREAMS.signals.consumer);
  for await (const message of eachOnce(await consumer.consume())) onSignal(runnerSignal.parse(decode(message.data)));
}

export interface TestAgent {
  runner: string;
  folder: string;
  child: ChildProcess;
  /** Creates the file `go`, for which a program can wait. */
  go(): void;
  /** All that it has printed so far. */
  output(): string;
  /** Resolves as soon as it has printed this. */
  printed(text: string): Promise<void>;
  exited: Promise<{ code: number | null; signal: string | null }>;
}

/** Options of a test agent that differ from the defaults. */
export interface TestAgentOptions {
  natsUrl?: string;
  expiresAt?: Date;
  env?: Record<string, string>;
  credentials?: string;
  /** The folder of the agent's socket. Default: one of its own. */
  socketFolder?: (folder: string) => string;
  /** Wraps the command that starts the agent. */
  wrap?: (command: string[], folder: string) => string[];
}

/** Writes the agent's files into a folder as a backend does. */
export async function installBundle(folder: string): Promise<string> {
  const agent = join(folder, 'agent');
  mkdirSync(agent, { recursive: true, mode: 0o700 });
  const { files } = await bundleAgent();
  for (const file of files)
    writeFileSync(join(agent, file.name), file.content, { mode: file.executable ? 0o500 : 0o400 });
  return agent;
}

/**
 * Starts the agent with its start.sh, as in an instance.
 *
 * @param script the forge's runner program, a shell script; the JIT config is in ACTIONS_RUNNER_INPUT_JITCONFIG
 */
export async function startAgent(
  world: AgentWorld,
  script: string,
  options: TestAgentOptions = {},
): Promise<TestAgent> {
  const runner = `m-g-${randomUUID().slice(0, 8)}`;
  const folder = join(world.folder, runner);
  const agent = await installBundle(folder);
  const program = join(folder, 'program');
  mkdirSync(program);
  writeFileSync(join(program, 'run.sh'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(program, 'run.sh'), 0o700);
  const expiresAt = options.expiresAt ?? new Date(Date.now() + 600_000);
  const bootstrap: BootstrapFile = {
    version: 1,
    runner,
    natsUrl: options.natsUrl ?? world.nats.address,
    credentials: options.credentials ?? (await world.mint(runner, expiresAt)),
    program: { directory: program },
    expiresAt: expiresAt.toISOString(),
    madeAt: new Date().toISOString(),
    socket: join(options.socketFolder?.(folder) ?? join(folder, 's'), 'agent.sock'),
  };
  const file = join(folder, 'bootstrap.json');
  writeFileSync(file, JSON.stringify(bootstrap), { mode: 0o400 });
  const command = ['sh', join(agent, 'start.sh')];
  const [starter = '', ...args] = options.wrap?.(command, folder) ?? command;
  const child = spawn(starter, args, {
    env: { PATH: process.env['PATH'], HOME: folder, [AGENT_ENV.bootstrap]: file, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return {
    runner,
    folder,
    child,
    go: () => writeFileSync(join(program, 'go'), ''),
    output: () => output,
    printed: (text) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (output.includes(text)) resolve();
        };
        child.stdout.on('data', look);
        look();
      }),
    exited: new Promise((resolve) => {
      child.once('close', (code, signal) => {
        process.removeListener('exit', killAtExit);
        resolve({ code, signal });
      });
    }),
  };
}

/** A shell line with the job's variables, as GitHub's runner sets them for its hooks, which wait as long as a busy machine takes. */
export const JOB_ENV =
  'export BATON_HOOK_TIMEOUT_MS="${BATON_HOOK_TIMEOUT_MS:-60000}" GITHUB_RUN_ID=4711 GITHUB_RUN_ATTEMPT=2 GITHUB_REPOSITORY=octo-org/app GITHUB_WORKFLOW="Build it" GITHUB_JOB=build';

/** Whether the process whose id is in that file is still running. */
export function isRunning(pidFile: string): boolean {
  return identify(Number(readText(pidFile)))?.zombie === false;
}

export function readText(path: string): string {
  return readFileSync(path, 'utf8');
}
