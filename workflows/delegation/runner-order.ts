import { demandKey, type DelegationInput } from '../../contracts/workflows/delegation.ts';
import type { JobNotice } from '../../contracts/workflows/job.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';
import type { RunJob } from '../../contracts/ports/run-control.ts';
import { local } from '../lib/local-activities.ts';

/** A request that is older than this is repeated: the dispatcher tries a job that got no runner ever more slowly. */
const RENEWAL_AGE_MS = 5 * 60_000;

/** A {@link RunnerOrder} as JSON, for continue-as-new. */
export interface RunnerOrderState {
  state: 'none' | 'requested' | 'held';
  /** Messages sent so far. */
  sent: number;
  /** When a runner was requested last, milliseconds since the epoch. */
  requestedAt: number;
}

/** A delegation's demand for a runner at its group's dispatcher, as that of a job: queued, held, or over. */
export class RunnerOrder {
  readonly #input: DelegationInput;
  readonly #known: RunnerOrderState;

  constructor(input: DelegationInput, state?: RunnerOrderState) {
    this.#input = input;
    this.#known = { state: 'none', sent: 0, requestedAt: 0, ...state };
  }

  /** @param known the job on the forge */
  async request(job: DelegatedJob, known: RunJob | undefined): Promise<void> {
    const isFresh = Date.now() - this.#known.requestedAt < RENEWAL_AGE_MS;
    if (this.#known.state === 'requested' && isFresh) return;
    // The first request is as old as the proxy's.
    const at = this.#known.sent === 0 ? job.requestedAt : new Date().toISOString();
    this.#known.state = 'requested';
    this.#known.requestedAt = Date.now();
    await this.#send('queued', job, known, at);
  }

  async hold(job: DelegatedJob, known: RunJob | undefined): Promise<void> {
    if (this.#known.state !== 'requested') return;
    this.#known.state = 'held';
    await this.#send('waiting', job, known);
  }

  async withdraw(job: DelegatedJob, known: RunJob | undefined): Promise<void> {
    if (this.#known.state === 'none') return;
    this.#known.state = 'none';
    await this.#send('completed', job, known);
  }

  toState(): RunnerOrderState {
    return this.#known;
  }

  async #send(
    action: JobNotice['action'],
    job: DelegatedJob,
    known: RunJob | undefined,
    at = new Date().toISOString(),
  ): Promise<void> {
    const { id, repository, runId, workflow, url } = job;
    const { sent } = this.#known;
    this.#known.sent += 1;
    const notice: JobNotice = {
      key: demandKey(id),
      delivery: sent === 0 ? id : `${id}.${sent}`,
      action,
      // On the forge, no job waits yet, so that there is no id to ask about.
      jobId: 0,
      runId: Number(runId),
      // The attempt that will run on it: the dispatcher matches what the runner's hook reports with this request.
      runAttempt: (known?.attempt ?? job.runAttempt) + 1,
      repository,
      private: true,
      labels: this.#input.proxies.labels,
      workflow,
      name: known?.name ?? job.jobId,
      url,
      conclusion: null,
      runnerName: null,
      at,
    };
    await local.signalDemand({ group: this.#input.proxies.group, job: notice });
  }
}
