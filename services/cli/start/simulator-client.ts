import { z } from 'zod';
import { BatonError } from '../../../contracts/errors.ts';
import { DEMO_ORGANIZATION, DEMO_REPOSITORY } from './demo.ts';

const job = z.object({
  id: z.number(),
  /** `jobs.<key>` in the workflow file. */
  key: z.string(),
  name: z.string(),
  status: z.string(),
  conclusion: z.string().nullable(),
  runner: z.string().nullable(),
  assignedTo: z.string().nullable(),
  createdAt: z.string(),
  completedAt: z.string().nullable(),
});
const run = z.object({
  id: z.number(),
  status: z.string(),
  /** Names of the jobs that don't exist yet, because they need others. */
  pending: z.array(z.string()),
  jobs: z.array(job),
});
const state = z.object({ runners: z.array(z.object({ name: z.string() })) });

export type SimulatorJob = z.infer<typeof job>;
export type SimulatorRun = z.infer<typeof run>;

/** A client of the simulator's control API, `/_sim`. */
export class SimulatorClient {
  readonly #url: string;

  /** @param url the simulator's address, without a path */
  constructor(url: string) {
    this.#url = url;
  }

  /** Pushes a workflow file to the demo's repository, which starts a run. */
  async push(workflow: string): Promise<SimulatorRun> {
    return run.parse(await this.#request('POST', `/repos/${DEMO_ORGANIZATION}/${DEMO_REPOSITORY}/push`, { workflow }));
  }

  async run(id: number): Promise<SimulatorRun> {
    return run.parse(await this.#request('GET', `/runs/${id}`));
  }

  /** Cancels the jobs of a run that haven't ended. */
  async cancel(id: number): Promise<void> {
    await this.#request('POST', `/runs/${id}/cancel`);
  }

  /** Names of the registered runners. */
  async registrations(): Promise<string[]> {
    return state.parse(await this.#request('GET', '/state')).runners.map(({ name }) => name);
  }

  async #request(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.#url}/_sim${path}`, {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) {
      const body = (await response.text()).slice(0, 300);
      throw new BatonError(
        'FORGE_UNAVAILABLE',
        `calling the simulator: ${method} ${path}: HTTP ${response.status}: ${body}`,
      );
    }
    return response.json();
  }
}
