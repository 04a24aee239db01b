import { z } from 'zod';
import { until } from './until.ts';

const job = z.object({
  id: z.number(),
  runId: z.number(),
  key: z.string(),
  name: z.string(),
  status: z.string(),
  conclusion: z.string().nullable(),
  runner: z.string().nullable(),
});
export type SimJob = z.infer<typeof job>;

const event = z.looseObject({ seq: z.number(), type: z.string() });

/** Controls the simulator over its HTTP API. */
export class SimControl {
  readonly #url: string;

  constructor(address: string) {
    this.#url = `${address}/_sim`;
  }

  async push(workflow: string, repository = 'acme/hello'): Promise<number> {
    const run = await this.#call('POST', `/repos/${repository}/push`, { workflow });
    return z.object({ id: z.number() }).parse(run).id;
  }

  /** Queues jobs of one step. Resolves with their ids. */
  async jobs(order: {
    count?: number;
    labels: string[];
    run?: string;
    repository?: string;
    environment?: string;
  }): Promise<number[]> {
    return z.object({ jobIds: z.array(z.number()) }).parse(await this.#call('POST', '/jobs', order)).jobIds;
  }

  async job(id: number): Promise<SimJob> {
    return job.parse(await this.#call('GET', `/jobs/${id}`));
  }

  async allJobs(): Promise<SimJob[]> {
    return z.object({ jobs: z.array(job) }).parse(await this.#call('GET', '/jobs')).jobs;
  }

  async start(id: number, runnerName: string): Promise<void> {
    await this.#call('POST', `/jobs/${id}/start`, { runnerName });
  }

  async complete(id: number, conclusion = 'success'): Promise<void> {
    await this.#call('POST', `/jobs/${id}/complete`, { conclusion });
  }

  async cancel(id: number): Promise<void> {
    await this.#call('POST', `/jobs/${id}/cancel`);
  }

  /** Makes the job one that GitHub lists as queued for ever. */
  async abandon(id: number, order: { ageMs?: number; runIsOver?: boolean }): Promise<void> {
    await this.#call('POST', `/jobs/${id}/abandon`, order);
  }

  async setPrivate(repository: string, isPrivate: boolean): Promise<void> {
    await this.#call('PATCH', `/repos/${repository}`, { private: isPrivate });
  }

  async approve(id: number): Promise<void> {
    await this.#call('POST', `/jobs/${id}/approve`);
  }

  async rerun(id: number): Promise<void> {
    await this.#call('POST', `/jobs/${id}/rerun`);
  }

  async faults(rates: Record<string, number | boolean>): Promise<void> {
    await this.#call('PUT', '/faults', rates);
  }

  /** Sets a fault of the next webhook that matches. */
  async faultOnce(fault: { fault: 'lose' | 'duplicate' | 'delay'; action?: string; jobId?: number }): Promise<void> {
    await this.#call('POST', '/faults/once', fault);
  }

  /** Sets a fault of the next REST calls that match. */
  async apiFault(fault: Record<string, number | string>): Promise<void> {
    await this.#call('POST', '/faults/api', fault);
  }

  /** Lets this share of the REST calls fail, 0 to 1; half of them after the simulator has executed them. */
  async apiFaultRate(rate: number): Promise<void> {
    await this.#call('PUT', '/faults/api', { rate });
  }

  /** Removes all faults that {@link apiFault} set. */
  async clearApiFaults(): Promise<void> {
    await this.#call('DELETE', '/faults/api');
  }

  /** How many faults of {@link apiFault} have not occurred yet. */
  async pendingApiFaults(): Promise<number> {
    return z.object({ api: z.array(z.unknown()) }).parse(await this.#call('GET', '/faults')).api.length;
  }

  /** Suspends an App, or takes permissions from it, as its owner can. */
  async setApp(id: number, order: { suspended?: boolean; permissions?: Record<string, string> }): Promise<void> {
    await this.#call('PATCH', `/apps/${id}`, order);
  }

  async settings(order: Record<string, unknown>): Promise<void> {
    await this.#call('PUT', '/settings', order);
  }

  async hold(which: { action?: string; jobId?: number } = {}): Promise<void> {
    await this.#call('POST', '/hold', which);
  }

  async release(order: 'fifo' | 'reverse' | 'shuffled' = 'fifo'): Promise<void> {
    await this.#call('POST', '/release', { order });
  }

  async log(type?: string): Promise<z.infer<typeof event>[]> {
    const answer = await this.#call('GET', type ? `/log?type=${type}` : '/log');
    return z.object({ events: z.array(event) }).parse(answer).events;
  }

  /** Waits until these jobs, by default all, are completed. Resolves with them. */
  async untilCompleted(ids?: readonly number[], timeoutMs = 90_000): Promise<SimJob[]> {
    return await until(
      async () => {
        const jobs = (await this.allJobs()).filter((candidate) => ids === undefined || ids.includes(candidate.id));
        const open = jobs.filter((candidate) => candidate.status !== 'completed');
        if (open.length > 0 || jobs.length === 0) {
          throw new Error(
            `${open.length} of ${jobs.length} jobs are not completed: ${JSON.stringify(open.slice(0, 3))}`,
          );
        }
        return jobs;
      },
      { timeoutMs: timeoutMs },
    );
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }
}
