import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import { createDelegationId } from '../../contracts/lib/delegation-id.ts';
import { createLogger } from '../../contracts/lib/log.ts';
import { createTokenKey, signToken } from '../../contracts/lib/proxy-token.ts';
import { HandOverBreaker } from '../../services/proxy/breaker.ts';
import { HandOver } from '../../services/proxy/hand-over.ts';
import { writeHookFolder } from '../../services/proxy/hook-folder.ts';
import { OrchestratorClient } from '../../services/proxy/orchestrator-client.ts';
import { serveHookSocket } from '../../services/proxy/serve-hook-socket.ts';
import { temporaryFolder, type TemporaryFolder } from './cleanup.ts';
import { testGroup, writeConfig } from './config.ts';
import { startNats, type TestNats } from './nats.ts';
import { startService, type TestService } from './service.ts';

/** A proxy's side of its socket, without the forge's runner. */
export interface ProxySide {
  socket: string;
  handOver: HandOver;
  breaker: HandOverBreaker;
  /** How many hooks have had their answer. */
  answered(): number;
}

export interface ProxySideSettings {
  token?: string;
  /** Of the ingress. */
  url?: string;
  share?: string[];
  breakerPauseMs?: number;
}

export interface RanHook {
  code: number;
  output: string;
}

const key = createTokenKey();
const issued = Math.floor(Date.now() / 1000);

/** Runs a proxy's hook as the forge's runner runs it, with a real ingress. */
export class ProxyHookWorld {
  readonly token = signToken(key.privateKey, {
    proxy: 'proxy-a',
    issued,
    expires: issued + 3600,
    scopes: ['delegate', 'read'],
  });
  readonly folder: TemporaryFolder;
  readonly ingress: TestService;
  readonly #nats: TestNats;
  readonly #script: string;
  readonly #closes: (() => void)[] = [];
  #jobs = 0;

  private constructor(folder: TemporaryFolder, nats: TestNats, ingress: TestService, script: string) {
    this.folder = folder;
    this.#nats = nats;
    this.ingress = ingress;
    this.#script = script;
  }

  static async start(): Promise<ProxyHookWorld> {
    const folder = temporaryFolder('proxy-hooks');
    const script = await writeHookFolder(join(folder.path, 'hooks with a space'));
    const nats = await startNats();
    const config = writeConfig(folder.path, {
      nats: nats.address,
      groups: [testGroup('ephemeral', ['team', 'ephemeral', 'container'])],
      delegation: {
        token_keys: [key.publicKey],
        proxies: [{ names: ['proxy-a'], labels: ['team'], group: 'ephemeral' }],
      },
    });
    const ingress = await startService('ingress', { config, env: { WEBHOOK_SECRET: 's' } });
    await ingress.ready();
    return new ProxyHookWorld(folder, nats, ingress, script);
  }

  async stop(): Promise<void> {
    for (const close of this.#closes) close();
    await this.ingress.stop();
    await this.#nats.stop();
    this.folder.remove();
  }

  async startProxy(settings: ProxySideSettings = {}): Promise<ProxySide> {
    const { token = this.token, url = this.ingress.address, share = [], breakerPauseMs = 30_000 } = settings;
    const log = createLogger('proxy', 'silent');
    const breaker = new HandOverBreaker(breakerPauseMs);
    const client = new OrchestratorClient(url, () => token, 10_000);
    const identity = { name: 'proxy-a', labels: ['team', 'linux'], share };
    const handOver = new HandOver({ identity, client, breaker, log });
    let answered = 0;
    const socket = join(this.folder.path, `${this.#closes.length}.sock`);
    const server = await serveHookSocket({
      socket,
      gid: undefined,
      answer: (request) => handOver.answer(request),
      onAnswered: () => (answered += 1),
      onMalformed: () => handOver.refuse('malformed'),
      log,
    });
    this.#closes.push(() => server.close());
    return { socket, handOver, breaker, answered: () => answered };
  }

  /** The environment of a hook of a new job. */
  environment(more: Record<string, string> = {}): Record<string, string> {
    this.#jobs += 1;
    return {
      PATH: '/usr/bin:/bin',
      BATON_NODE: process.execPath,
      GITHUB_JOB: 'build',
      GITHUB_RUN_ID: String(1000 + this.#jobs),
      GITHUB_RUN_ATTEMPT: '1',
      GITHUB_REPOSITORY: 'acme/hello',
      GITHUB_WORKFLOW: 'CI',
      RUNNER_NAME: 'proxy-a',
      RUNNER_TRACKING_ID: `github_${this.#jobs}`,
      // Nobody ends the attempt here.
      BATON_PROXY_END_TIMEOUT_MS: '1',
      ...more,
    };
  }

  /** Runs the hook of the one job that this run of the forge's runner has. */
  async runHook({ socket, handOver }: ProxySide, env: Record<string, string>, shell = 'sh'): Promise<RanHook> {
    handOver.begin();
    handOver.jobStarted();
    return await this.runScript(socket, env, shell);
  }

  /** Runs the hook's script, whatever the proxy expects. */
  runScript(socket: string, env: Record<string, string>, shell = 'sh'): Promise<RanHook> {
    return new Promise((resolve) => {
      const settings = { env: { ...env, BATON_PROXY_SOCKET: socket } };
      execFile(`/bin/${shell}`, ['-e', this.#script], settings, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr });
      });
    });
  }

  async findJob(env: Record<string, string>): Promise<Response> {
    const id = createDelegationId({
      repository: env['GITHUB_REPOSITORY'] ?? '',
      runId: env['GITHUB_RUN_ID'] ?? '',
      runAttempt: 1,
      jobId: env['GITHUB_JOB'] ?? '',
      runnerName: 'proxy-a',
      trackingId: env['RUNNER_TRACKING_ID'] ?? '',
    });
    const headers = { authorization: `Bearer ${this.token}` };
    return await fetch(`${this.ingress.address}/api/jobs/${id}`, { headers });
  }

  /** What the orchestrator knows of that hook's job. @throws Error where it knows no such job */
  async fetchJob(env: Record<string, string>): Promise<Record<string, unknown>> {
    const response = await this.findJob(env);
    if (response.status !== 200) throw new Error(`the ingress answered ${response.status}`);
    return z.record(z.string(), z.unknown()).parse(await response.json());
  }

  /** The variables that were handed over with that hook's job. */
  async fetchEnvironment(env: Record<string, string>): Promise<Record<string, string>> {
    return z.object({ environment: z.record(z.string(), z.string()) }).parse(await this.fetchJob(env)).environment;
  }
}
