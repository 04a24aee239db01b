import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { temporaryFolder } from './cleanup.ts';
import { API_PREFIX } from '../../services/simulator/api/routes.ts';
import { push } from '../../services/simulator/jobs/run.ts';
import { jitConfig } from '../../services/simulator/protocol.ts';
import { RunnerClient } from '../../services/simulator/runner/client.ts';
import type { SimulatorOptions } from '../../services/simulator/settings.ts';
import { DEFAULT_TOKEN, startSimulator, type Simulator } from '../../services/simulator/simulator.ts';
import type { Job, Repository } from '../../services/simulator/state.ts';

const body = z.looseObject({
  action: z.string().optional(),
  workflow_job: z.looseObject({ id: z.number() }).optional(),
});

interface Received {
  headers: IncomingHttpHeaders;
  raw: string;
  body: z.infer<typeof body>;
}

/** Less strict than GitHub: no limits, and `busy` without a lag. For tests of something else that would only wait for these. */
export const LENIENT = {
  timing: { busyLagMs: 0 },
  limits: { secondaryPoints: 0, concurrentCalls: 0, registrations: 0, runnersPerGroup: 0 },
} as const satisfies SimulatorOptions;

/** A receiver of webhooks. */
export interface Receiver {
  url: string;
  received: Received[];
  /** The status of its answers; `hang` for no answer. */
  answer: number | 'hang';
  close(): Promise<void>;
}

export const SECRET = 'a webhook secret';

async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const receiver: Receiver = { url: '', received, answer: 202, close: async () => undefined };
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const raw = (await buffer(request)).toString('utf8');
    received.push({ headers: request.headers, raw, body: body.parse(JSON.parse(raw)) });
    if (receiver.answer !== 'hang') response.writeHead(receiver.answer).end('{}');
  };
  const server = createServer((request, response) => {
    // The simulator breaks off what takes too long.
    take(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the receiver has no port');
  receiver.url = `http://127.0.0.1:${address.port}/`;
  receiver.close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return receiver;
}

const registration = z.object({ encoded_jit_config: z.string(), runner: z.object({ id: z.number() }) });

/** A simulator with a receiver of its webhooks. `dispose` ends both and all programs that the test started. */
export class TestBench {
  readonly simulator: Simulator;
  readonly receiver: Receiver;
  readonly #folder = temporaryFolder('simulator');
  readonly #children = new Set<ChildProcess>();
  readonly #stop = new AbortController();

  private constructor(simulator: Simulator, receiver: Receiver) {
    this.simulator = simulator;
    this.receiver = receiver;
  }

  static async start(options: SimulatorOptions = {}): Promise<TestBench> {
    const receiver = await startReceiver();
    const simulator = await startSimulator({ webhook: { url: receiver.url, secret: SECRET }, ...options });
    return new TestBench(simulator, receiver);
  }

  get sim() {
    return this.simulator.sim;
  }

  get log() {
    return this.simulator.log;
  }

  get path(): string {
    return this.#folder.path;
  }

  get repository(): Repository {
    const [first] = this.sim.state.repositories.values();
    if (!first) throw new Error('the simulator has no repository');
    return first;
  }

  /** Pushes a workflow file. @returns the jobs without needs */
  push(workflow: string, options: Partial<Parameters<typeof push>[2]> = {}): Job[] {
    return push(this.sim, this.repository, { workflow, ...options }).jobs;
  }

  /** Pushes a workflow with one job with these steps (YAML, one line each). */
  job(steps: string[], more = ''): Job {
    const list = steps.map((step) => `      - ${step}`).join('\n');
    return only(this.push(`jobs:\n  build:\n    runs-on: demo\n${more}    steps:\n${list}\n`));
  }

  async api(
    method: string,
    path: string,
    order?: object,
    token = DEFAULT_TOKEN,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return await fetch(`${this.simulator.address}${API_PREFIX}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(order === undefined ? {} : { body: JSON.stringify(order) }),
    });
  }

  async control(method: string, path: string, order?: object): Promise<unknown> {
    const response = await fetch(`${this.simulator.address}/_sim${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(order ?? {}),
    });
    if (!response.ok) throw new Error(await response.text());
    return await response.json();
  }

  /** Registers a runner in the demo organisation. */
  async register(name: string, { labels = ['demo'], group = 1, scope = '/orgs/octo-org' } = {}) {
    const order = { name, labels, runner_group_id: group };
    const response = await this.api('POST', `${scope}/actions/runners/generate-jitconfig`, order);
    if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
    const { encoded_jit_config: jit, runner } = registration.parse(await response.json());
    return { id: runner.id, name, jit };
  }

  /** A runner that is online without a program: it runs nothing. */
  async online(name: string, options: Parameters<TestBench['register']>[1] = {}) {
    const { id, jit } = await this.register(name, options);
    const client = new RunnerClient(jitConfig.parse(JSON.parse(Buffer.from(jit, 'base64').toString('utf8'))));
    await client.openSession(this.#stop.signal);
    return { id, name, client, stop: this.#stop.signal };
  }

  /** Starts the fake runner. */
  async runner(name: string, env: Record<string, string> = {}) {
    const { id, jit } = await this.register(name);
    const program = fileURLToPath(new URL('../../services/simulator/runner/main.ts', import.meta.url));
    return { id, ...this.spawn(process.execPath, [program, '--jitconfig', jit], env) };
  }

  /** Starts a program in the bench's folder. */
  spawn(file: string, args: string[], env: Record<string, string> = {}) {
    const child = spawn(file, args, {
      cwd: this.path,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    const output: string[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString('utf8')));
    const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    return { child, exited, output: () => output.join('') };
  }

  /** Resolves when that job has ended and its webhooks are sent. */
  async completed(job: Job): Promise<Job> {
    await this.log.waitFor(
      `job ${job.id} to end`,
      (event) => event.type === 'job.completed' && event['jobId'] === job.id,
    );
    await this.sim.webhooks.idle();
    return job;
  }

  /** `action` of each webhook of a job, or of all, in order of arrival. */
  actions(job?: Job): (string | undefined)[] {
    const mine = this.receiver.received.filter(({ body }) => job === undefined || body.workflow_job?.id === job.id);
    return mine.map(({ body }) => body.action);
  }

  async dispose(): Promise<void> {
    this.#stop.abort();
    const running = [...this.#children].filter((child) => child.exitCode === null && child.signalCode === null);
    await Promise.all(
      running.map(async (child) => {
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await gone;
      }),
    );
    await this.simulator.close();
    await this.receiver.close();
    this.#folder.remove();
  }
}

/** The list in a JSON answer, parsed. */
export async function listIn<T>(answer: Response, item: z.ZodType<T>): Promise<T[]> {
  return z.array(item).parse(await answer.json());
}

/** The only item of a list. @throws Error for another number of items */
export function only<T>(items: readonly T[]): T {
  const [first] = items;
  if (first === undefined || items.length > 1) throw new Error(`expected one item, got ${items.length}`);
  return first;
}
