import type { DelegationStore } from '../../contracts/lib/delegation-store.ts';
import type { DelegatedJobActivities } from '../../contracts/ports/forge-activities.ts';
import { BatonError } from '../../contracts/errors.ts';
import type { RunJob, RunControl } from '../../contracts/ports/run-control.ts';
import { withHeartbeats } from '../lib/heartbeat.ts';

/** A delegation's activities on the forge. A job belongs to the delegation that claimed it first. */
export function createDelegatedJobActivities(
  runs: RunControl,
  store: () => Promise<DelegationStore>,
): DelegatedJobActivities {
  const claim = async (id: string, job: RunJob): Promise<{ job: RunJob } | { handedTo: string }> => {
    const owner = await (await store()).claim(job, id);
    return owner === id ? { job } : { handedTo: owner };
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

    async observeDelegatedJob({ id, repository, job }) {
      const { jobs } = await runs.getLatestAttempt(repository, job.runId);
      return await claim(id, findNewest(jobs, job));
    },

    rerunDelegatedJob: (order) =>
      withHeartbeats(async () => {
        const { id, repository, proxies } = order;
        const { isCompleted, attempt, jobs } = await runs.getLatestAttempt(repository, order.job.runId);
        const job = findNewest(jobs, order.job);
        const owned = await claim(id, job);
        if (!('job' in owned)) return owned;
        // A user, or an earlier attempt of this activity whose result was lost, has already re-run it.
        if (job.status !== 'completed') return { state: 'rerunning', job };
        if (job.conclusion !== 'failure' || job.runnerName === null || !proxies.includes(job.runnerName)) {
          return { state: 'not-needed', job };
        }
        if (!isCompleted) return { state: 'busy', job };
        const owner = await (await store()).claimAttempt({ ...job, attempt: attempt + 1 }, id);
        if (owner !== id) return { handedTo: owner };
        try {
          await runs.rerunJob(repository, job.id);
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

    async labelProxies({ scope, names, labels }) {
      const labelled: string[] = [];
      for (const name of names) if (await runs.replaceRunnerLabels(scope, name, labels)) labelled.push(name);
      return { labelled };
    },
  };
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
