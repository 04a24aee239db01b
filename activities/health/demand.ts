import type { Client } from '@temporalio/client';
import pMap, { pMapSkip } from 'p-map';
import { BatonError } from '../../contracts/errors.ts';
import type { DispatcherEvent, JobStatus } from '../../contracts/workflows/dispatcher.ts';
import type { JobNotice } from '../../contracts/workflows/job.ts';
import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { Forge, ForgeJob, LookOptions } from '../../contracts/ports/forge.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { JobEvent } from '../../contracts/messages/job-event.ts';
import type { SignalDispatcher } from '../signals/signaller.ts';
import { queryJobState, queryRoster } from './observations.ts';

export interface DemandOptions {
  client: Client;
  forge: Forge;
  signalDispatcher: SignalDispatcher;
  publish: (event: JobEvent) => Promise<void>;
  log: Logger;
}

/** One check asks the forge about this many jobs: those that have waited longest. */
const MAX_JOBS_ASKED = 100;
/** One check asks its dispatcher about this many jobs that it does not list as waiting. */
const MAX_SUSPECTS = 200;
const MAX_CONCURRENT_QUERIES = 8;
const LOST_STATES: readonly JobStatus['state'][] = ['unknown', 'too-old'];
/** A younger job's webhook may still be on its way. */
const MIN_JOB_AGE_MS = 3000;

/**
 * Asks the forge about jobs that have waited for longer than `olderThanMs`. If a job was started or cancelled and its
 * webhook was lost, its demand is dropped; if an environment let it go, it becomes demand. A job that the forge doesn't show stays:
 * the permission may be missing.
 *
 * @returns `unread`: repositories whose jobs the forge refuses to show
 */
export async function recheckDemand(
  { client, forge, signalDispatcher, log }: DemandOptions,
  { group, olderThanMs, signal }: { group: string; olderThanMs: number; signal: AbortSignal },
): Promise<{ asked: number; dropped: number; unread: string[] }> {
  const { waiting } = await queryRoster(client, group);
  const stuck = waiting
    .filter(({ since }) => Date.now() - since > olderThanMs)
    // Environments may hold many jobs for a month: those come last.
    .sort((a, b) => Number(a.held) - Number(b.held) || a.since - b.since)
    .slice(0, MAX_JOBS_ASKED);
  const events: DispatcherEvent[] = [];
  const refused = new Map<string, string>();
  let dropped = 0;
  for (const { key, jobId, repository, held } of stuck) {
    if (refused.has(repository)) continue;
    const now = await forge.getJob(repository, jobId, { signal }).catch((error: unknown) => {
      if (!(error instanceof BatonError) || error.code !== 'FORGE_REFUSED') throw error;
      refused.set(repository, error.message);
      return undefined;
    });
    if (now === undefined || now.action === 'waiting' || (now.action === 'queued' && !held)) continue;
    const facts = { group, job: jobId, repository, action: now.action };
    if (now.action === 'queued') {
      log.info(facts, 'a held job waits for a runner now');
    } else {
      dropped += 1;
      log.info(facts, 'demand dropped: the job no longer waits on the forge');
    }
    events.push({ type: 'job', job: toJobNotice(now, key) });
  }
  if (events.length > 0) await signalDispatcher(group, events);
  return { asked: stuck.length, dropped, unread: [...refused.values()] };
}

/**
 * Publishes jobs that wait on the forge and that the group's dispatcher doesn't know, as if their webhook had arrived:
 * the relay decides which group serves them.
 */
export async function findLostJobs(
  { client, forge, publish, log }: DemandOptions,
  settings: GroupSettings,
  look: LookOptions,
): Promise<{ found: number; unread: string[]; notes: string[] }> {
  const { name: group, scope, labels } = settings;
  const { jobs, unread, notes } = await forge.listQueuedJobs({ scope, labels }, look);
  const known = new Set((await queryRoster(client, group)).waiting.map(({ key }) => key));
  const suspects = jobs
    .filter(({ job }) => !known.has(toJobKey(job)) && Date.now() - Date.parse(job.createdAt ?? '') > MIN_JOB_AGE_MS)
    .slice(0, MAX_SUSPECTS);
  // Since the forge was asked, a job may have got its runner. One that was too old waits again where an environment let it go.
  const lost = await pMap(
    suspects,
    async (one) => (LOST_STATES.includes(await queryJobState(client, group, one.job.id)) ? one : pMapSkip),
    { concurrency: MAX_CONCURRENT_QUERIES },
  );
  for (const { job, repository } of lost) {
    log.info({ group, job: job.id, repository: repository.fullName }, 'found a waiting job without a webhook');
    await publish({
      version: 1,
      forge: settings.forge,
      // A fixed id: however often the job is found, the stream takes one message.
      delivery: `found-${toJobKey(job)}`,
      action: 'queued',
      receivedAt: new Date().toISOString(),
      job,
      repository,
      organization: repository.owner,
      installationId: null,
    });
  }
  return { found: lost.length, unread, notes };
}

const toJobKey = (job: ForgeJob['job']): string => `${job.id}:${job.runAttempt}`;

function toJobNotice({ action, job, repository }: ForgeJob, key: string): JobNotice {
  const { id: jobId, runId, runAttempt, workflow, name, url, conclusion, runnerName, labels } = job;
  return {
    key,
    delivery: `asked-${key}`,
    action,
    jobId,
    runId,
    runAttempt,
    repository: repository.fullName,
    private: repository.private,
    labels,
    workflow,
    name,
    url,
    conclusion,
    runnerName,
    at: new Date().toISOString(),
  };
}
