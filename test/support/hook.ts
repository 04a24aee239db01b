import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ResolvedHooks, WrapperSettings } from '../../contracts/workflows/hook-settings.ts';
import { createLogger } from '../../contracts/lib/log.ts';
import type { RunnerSignal } from '../../contracts/messages/runner-signal.ts';
import { listenForHooks } from '../../hooks/agent/hook-socket.ts';
import { findProgram } from '../../hooks/job-hooks/wrappers/find-program.ts';
import { TestBench } from './simulator.ts';
import type { Job } from '../../services/simulator/state.ts';
import { installBundle } from './agent.ts';

/** Longer than a signal takes here on a loaded machine. */
const SIGNAL_TIMEOUT_MS = '60000';

export interface HookOptions {
  hooks?: Partial<ResolvedHooks>;
  /** YAML of the job's steps. Default: one that does nothing. */
  steps?: string[];
  env?: Record<string, string>;
  extension?: 'sh' | 'ps1';
  /** Called while the job runs. */
  meanwhile?: (job: Job) => Promise<void>;
}

export interface HookRun {
  job: Job;
  /** The log lines of the two hooks' steps. */
  started: string[];
  completed: string[];
  /** The log lines of the job's steps, as one text. */
  own: string;
  signals: RunnerSignal[];
}

/**
 * Runs hooks as in an instance: with the bundle that backends install, the simulator's runner, and the agent's socket.
 * Only NATS is missing: `signals` is what the agent would publish.
 */
export class HookBench {
  readonly bench: TestBench;
  readonly agent: string;
  readonly folder: string;
  #runs = 0;

  private constructor(bench: TestBench, agent: string) {
    this.bench = bench;
    this.agent = agent;
    this.folder = bench.path;
  }

  static async start(): Promise<HookBench> {
    const bench = await TestBench.start({ timing: { sweepMs: 10, cancelGraceMs: 300 } });
    return new HookBench(bench, await installBundle(join(bench.path, 'instance')));
  }

  /** Creates an action's folder with these executable files. @returns its path */
  action(name: string, files: Record<string, string>): string {
    const folder = join(this.folder, 'actions', name);
    for (const [file, text] of Object.entries(files)) {
      const path = join(folder, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      chmodSync(path, 0o755);
    }
    return folder;
  }

  /** A PATH with this one shell, and with sh for the job's steps if that shell is not a POSIX one. */
  pathWith(shell: 'bash' | 'sh' | 'pwsh' | 'powershell'): string {
    const folder = join(this.folder, `path-${shell}`);
    if (existsSync(folder)) return folder;
    mkdirSync(folder);
    for (const name of shell === 'bash' ? [shell] : [shell, 'sh']) {
      const file = which(name);
      if (file !== undefined && !existsSync(join(folder, name))) symlinkSync(file, join(folder, name));
    }
    return folder;
  }

  /** Runs one job on one runner, with both hooks. */
  async run({ hooks, steps = ['run: "true"'], env = {}, extension = 'sh', meanwhile }: HookOptions): Promise<HookRun> {
    const name = `r${++this.#runs}`;
    const folder = join(this.folder, name);
    mkdirSync(folder);
    const signals: RunnerSignal[] = [];
    const socket = join(folder, 'agent.sock');
    const server = await listenForHooks({
      socket,
      runner: name,
      log: createLogger('test', 'silent'),
      send: (signal) => {
        signals.push(signal);
        return Promise.resolve('delivered');
      },
    });
    const settings = join(folder, 'hooks', 'settings.json');
    if (hooks !== undefined) {
      mkdirSync(dirname(settings));
      writeFileSync(settings, JSON.stringify({ ...NO_HOOKS, ...hooks }));
    }
    try {
      const job = this.bench.job(steps);
      const runner = await this.bench.runner(name, {
        ACTIONS_RUNNER_HOOK_JOB_STARTED: join(this.agent, `job-started.${extension}`),
        ACTIONS_RUNNER_HOOK_JOB_COMPLETED: join(this.agent, `job-completed.${extension}`),
        BATON_NODE: process.execPath,
        BATON_SIGNAL_SOCKET: socket,
        BATON_HOOK_TIMEOUT_MS: SIGNAL_TIMEOUT_MS,
        ...(hooks === undefined ? {} : { BATON_HOOKS: settings, BATON_HOOK_POLICY: hooks.policy ?? 'lenient' }),
        ...(hooks?.wrappers?.some((one) => one.required) ? { BATON_HOOK_REQUIRED: '1' } : {}),
        ...env,
      });
      await meanwhile?.(job);
      await this.bench.completed(job);
      await runner.exited;
      return { job, ...collectLines(job), signals };
    } finally {
      server.close();
    }
  }

  dispose(): Promise<void> {
    return this.bench.dispose();
  }
}

const NO_HOOKS: ResolvedHooks = { policy: 'lenient', env: {}, path: [], notices: [], wrappers: [], secrets: [] };

/** A wrapper with default settings. */
export function wrapper(uses: string, more: Partial<WrapperSettings<string>> = {}): WrapperSettings<string> {
  return { id: uses.split('/').at(-1) ?? uses, uses, with: {}, env: {}, timeoutMs: 60_000, ...more };
}

function collectLines(job: Job): Pick<HookRun, 'started' | 'completed' | 'own'> {
  const readLog = (name: string): string[] => job.steps.find((step) => step.name === name)?.log ?? [];
  const hooks = ['Set up runner', 'Complete runner', 'Set up job', 'Complete job'];
  const own = job.steps.filter((step) => !hooks.includes(step.name)).flatMap((step) => step.log);
  return { started: readLog('Set up runner'), completed: readLog('Complete runner'), own: own.join('\n') };
}

/** The full path of a program on PATH, or undefined. */
export function which(name: string): string | undefined {
  return findProgram(name, process.env['PATH']);
}
