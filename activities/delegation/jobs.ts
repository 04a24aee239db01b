import pMap from 'p-map';
import type { DelegationStore } from '../../contracts/lib/delegation-store.ts';
import type {
  DelegatedJobActivities,
  LabelledProxy,
  ProxyToLabel,
  RerunAnswer,
  RerunOrder,
} from '../../contracts/ports/forge-activities.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import type { CallOptions, ForgeScope } from '../../contracts/ports/forge.ts';
import type { RunJob, RunControl } from '../../contracts/ports/run-control.ts';
import { withHeartbeats } from '../lib/heartbeat.ts';

/** The forge's scheduler keeps the order among those that wait for a call. */
const MAX_CONCURRENT_LABELS = 8;
/** A call that waits for longer is not sent: a later one is. Less than the activity may take. */
const LABEL_TIMEOUT_MS = 80_000;

/** A delegation's activities on the forge. A job belongs to the delegation that claimed it first. */
export function createDelegatedJobActivities(
  runs: RunControl,
  store: () => Promise<DelegationStore>,
): DelegatedJobActivities {
  const claim = async (id: string, job: RunJob): Promise<{ job: RunJob } | { handedTo: string }> => {
    const owner = await (await store()).claim(job, id);
    return owner === id ? { job } : { handedTo: owner };
  };

  /** What the forge says of a job that is to be run again, and the newest attempt of its run. */
  const examine = async ({
    id,
    repository,
    job: known,
    proxies,
  }: RerunOrder): Promise<{ attempt: number; answer: RerunAnswer }> => {
    const { isCompleted, attempt, jobs } = await runs.getLatestAttempt(repository, known.runId);
    const job = findNewest(jobs, known);
    const owned = await claim(id, job);
    if (!('job' in owned)) return { attempt, answer: owned };
    const failedOnProxy = job.conclusion === 'failure' && job.runnerName !== null && proxies.includes(job.runnerName);
    // A user, or an earlier attempt of an activity whose result was lost, may have run it again already.
    const state =
      job.status !== 'completed' ? 'rerunning' : !failedOnProxy ? 'not-needed' : isCompleted ? 'ready' : 'busy';
    return { attempt, answer: { state, job } };
  };

  return {
    async findDelegatedJob({ job: { id, repository, runId, runAttempt, runnerName, jobId } }) {
      const jobs = await runs.listAttemptJobs(repository, Number(runId), runAttempt);
      const mine = jobs
        .filter((job) => job.runnerName === runnerName)
        // A hook knows its job's key. A job without a `name` is named by its key. Running jobs come first.
        .sort((a, b) => scoreMatch(b, jobId) - scoreMatch(a, jobId));
      let taken: string | undefined;
      for (const job of mine) {
        const result = await claim(id, job);
        if ('job' in result) return result;
        taken = result.handedTo;
      }
      if (taken !== undefined) return { handedTo: taken };
      throw new BatonError(
        'DELEGATION_JOB_MISSING',
        `looking for the job of delegation ${id}: run ${runId} of ${repository}, attempt ${runAttempt}, has none on ${runnerName}`,
      );
    },

    // A call to the forge may wait for its turn for longer than a worker's death may go unnoticed.
    observeDelegatedJob: ({ id, repository, job }) =>
      withHeartbeats(async () => {
        const { jobs } = await runs.getLatestAttempt(repository, job.runId);
        return await claim(id, findNewest(jobs, job));
      }),

    checkRerun: (order) => withHeartbeats(async () => (await examine(order)).answer),

    rerunDelegatedJob: (order) =>
      withHeartbeats(async () => {
        const { id, repository } = order;
        const { attempt, answer } = await examine(order);
        if (!('state' in answer) || answer.state !== 'ready') return answer;
        const { job } = answer;
        const owner = await (await store()).claimAttempt({ ...job, attempt: attempt + 1 }, id);
        if (owner !== id) return { handedTo: owner };
        try {
          if ((await runs.rerunJob(repository, job.id)) === 'busy') return { state: 'busy', job };
        } catch (error) {
          // Another delegation of the run was faster: the forge allows one new attempt of a run at a time.
          const now = await runs.getLatestAttempt(repository, job.runId);
          if (now.attempt === attempt) throw error;
          return { state: 'busy', job };
        }
        // The new attempt's job appears some seconds later, and its webhook goes to the owner of that attempt: to this delegation.
        const next = { attempt: attempt + 1, status: 'queued', conclusion: null, runnerName: null } as const;
        return { state: 'rerunning', job: { ...job, ...next } };
      }),

    labelProxies: ({ scope, proxies }) =>
      withHeartbeats(async () => {
        // Each has a time limit of its own, so that the others' results are known.
        const signal = AbortSignal.timeout(LABEL_TIMEOUT_MS);
        const label = (proxy: ProxyToLabel): Promise<LabelledProxy> => labelProxy(runs, scope, proxy, { signal });
        return { results: await pMap(proxies, label, { concurrency: MAX_CONCURRENT_LABELS }) };
      }),
  };
}

async function labelProxy(
  runs: RunControl,
  scope: ForgeScope,
  { name, labels }: ProxyToLabel,
  options: CallOptions,
): Promise<LabelledProxy> {
  try {
    const isRegistered = await runs.replaceRunnerLabels(scope, name, labels, options);
    return { name, result: isRegistered ? 'labelled' : 'absent', problem: null, retryAfterMs: null };
  } catch (error) {
    const retryAfterMs = error instanceof BatonError ? error.details['retryAfterMs'] : undefined;
    return {
      name,
      result: error instanceof BatonError && !error.retryable ? 'refused' : 'failed',
      problem: getErrorMessage(error),
      retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : null,
    };
  }
}

/** Finds the same job in the newest attempt, by its name; returns the job itself where it is the newest. */
function findNewest(jobs: readonly RunJob[], job: RunJob): RunJob {
  const same = jobs.filter(({ name }) => name === job.name).sort((a, b) => b.attempt - a.attempt || b.id - a.id);
  return same.find(({ id }) => id === job.id && same[0]?.attempt === job.attempt) ?? same[0] ?? job;
}

function scoreMatch(job: RunJob, key: string): number {
  const named = job.name === key || job.name.startsWith(`${key} (`) ? 2 : 0;
  return named + (job.status === 'in_progress' ? 1 : 0);
}
