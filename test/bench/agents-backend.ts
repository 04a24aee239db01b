import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend, Bootstrap, Instance, InstanceSpec } from '../../contracts/ports/backend.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { RunnerSignal } from '../../contracts/messages/runner-signal.ts';
import { RunnerConnection } from '../../hooks/action-runners/reporters/runner-connection.ts';
import { natsReporter } from '../../hooks/action-runners/reporters/nats.ts';
import { requestRegistration } from '../../hooks/agent/registration.ts';
import { jitConfig } from '../../services/simulator/protocol.ts';
import { RunnerClient } from '../../services/simulator/runner/client.ts';

const AGENT_VERSION = 'bench';
/** As long as the runner's time to live: its workflow decides when to give up. */
const PATIENCE_MS = 6 * 3_600_000;

export interface AgentsBackendOptions {
  /** How long an instance boots before its agent asks for the registration, milliseconds. */
  bootMs: number;
  /** How long each job runs, milliseconds. */
  jobMs: number;
  log: Logger;
}

/**
 * A backend whose instances are only the part of an agent that talks to others: it asks for its registration over NATS with its own
 * credential, goes online at the forge, runs one job that does nothing, and reports its end. A thousand of them fit into one process.
 */
export class AgentsBackend implements Backend {
  readonly type = 'agents';
  readonly #options: AgentsBackendOptions;
  readonly #instances = new Map<string, { instance: Instance; stop: AbortController }>();

  constructor(options: AgentsBackendOptions) {
    this.#options = options;
  }

  create({ runner, group }: InstanceSpec, bootstrap: Bootstrap): Promise<Instance> {
    const known = this.#instances.get(runner);
    if (known !== undefined) return Promise.resolve(known.instance);
    const instance: Instance = { id: runner, runner, group, state: 'running', createdAt: new Date().toISOString() };
    const stop = new AbortController();
    this.#instances.set(runner, { instance, stop });
    void this.#run(runner, bootstrap, stop.signal)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) this.#options.log.warn({ runner, err: error }, 'instance of the bench failed');
      })
      .finally(() => {
        instance.state = 'dead';
      });
    return Promise.resolve(instance);
  }

  describe(runner: string): Promise<Instance | undefined> {
    return Promise.resolve(this.#instances.get(runner)?.instance);
  }

  list(): Promise<Instance[]> {
    return Promise.resolve([...this.#instances.values()].map(({ instance }) => instance));
  }

  delete(runner: string): Promise<void> {
    this.#instances.get(runner)?.stop.abort();
    this.#instances.delete(runner);
    return Promise.resolve();
  }

  watch(_onDeath: (dead: Instance) => void, abort: AbortSignal): Promise<void> {
    return new Promise((resolve) => abort.addEventListener('abort', () => resolve()));
  }

  async #run(runner: string, { natsUrl, credentials }: Bootstrap, stop: AbortSignal): Promise<void> {
    const { bootMs, jobMs } = this.#options;
    const log = this.#options.log.child({ runner });
    await sleep(bootMs, undefined, { signal: stop });
    const connection = new RunnerConnection(log);
    const bus = await connection.open({ runner, natsUrl, credentials });
    const reporter = natsReporter(connection, AGENT_VERSION);
    const report = (state: 'running' | 'succeeded'): Promise<unknown> =>
      reporter.report(
        { name: runner, platform: {} },
        { state, at: new Date().toISOString(), message: state, exit: { code: 0, signal: null }, logTail: '' },
        stop,
      );
    try {
      const request = { runner, agentVersion: AGENT_VERSION, timeoutMs: PATIENCE_MS, abort: stop, log };
      const encoded = await requestRegistration(bus, request);
      const client = new RunnerClient(jitConfig.parse(JSON.parse(Buffer.from(encoded, 'base64').toString('utf8'))));
      await client.openSession(stop);
      await report('running');
      const send = (signal: RunnerSignal): Promise<unknown> => connection.outbox.send(signal, stop);
      await runOneJob(client, { runner, jobMs, stop, send });
      await client.closeSession();
      await report('succeeded');
    } finally {
      await bus.close();
    }
  }
}

interface JobOptions {
  runner: string;
  jobMs: number;
  stop: AbortSignal;
  /** Sends what its hooks would. */
  send: (signal: RunnerSignal) => Promise<unknown>;
}

async function runOneJob(client: RunnerClient, { runner, jobMs, stop, send }: JobOptions): Promise<void> {
  for (;;) {
    const jobId = await client.nextJob(stop);
    const message = jobId === undefined ? undefined : await client.acquire(jobId, stop);
    if (message === undefined) continue;
    const { github, key: jobKey } = message;
    const { run_id: runId, run_attempt: runAttempt, repository, workflow } = github;
    const job = { runId, runAttempt, repository, workflow, jobKey };
    const signal = (): { version: 1; id: string; runner: string; at: string } => {
      return { version: 1, id: randomUUID(), runner, at: new Date().toISOString() };
    };
    await send({ ...signal(), kind: 'started', job });
    await sleep(jobMs, undefined, { signal: stop });
    await send({ ...signal(), kind: 'completed', job });
    await client.complete(message.jobId, { conclusion: 'success', annotations: [], summary: '' });
    return;
  }
}
