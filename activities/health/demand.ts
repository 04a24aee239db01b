import type { Client } from '@temporalio/client';
import type { DispatcherEvent } from '../../contracts/workflows/dispatcher.ts';
import type { JobNotice } from '../../contracts/workflows/job.ts';
import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { Forge, ForgeJob } from '../../contracts/ports/forge.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { JobEvent } from '../../contracts/messages/job-event.ts';
import type { SignalDispatcher } from '../signals/signaller.ts';
import { queryRoster } from './observations.ts';

export interface DemandOptions {
  client: Client;
  forge: Forge;
  signalDispatcher: SignalDispatcher;
  publish: (event: JobEvent) => Promise<void>;
  log: Logger;
}

/** One check asks the forge about this many jobs: those that have waited longest. */
const MAX_JOBS_ASKED = 100;
/** A younger job's webhook may still be on its way. */
const MIN_JOB_AGE_MS = 3000;

/**
 * Asks the forge about jobs that have waited for longer than `olderThanMs`. If a job was started or cancelled and its
 * webhook was lost, its demand is dropped. A job that the forge doesn't show stays: the permission may be missing.
 */
export async function recheckDemand(
  { client, forge, signalDispatcher, log }: DemandOptions,
  { group, olderThanMs }: { group: string; olderThanMs: number },
): Promise<{ asked: number; dropped: number }> {
  const { waiting } = await queryRoster(client, group);
  const stuck = waiting
    .filter(({ since }) => Date.now() - since > olderThanMs)
    .sort((a, b) => a.since - b.since)
    .slice(0, MAX_JOBS_ASKED);
  const events: DispatcherEvent[] = [];
  for (const { key, jobId, repository } of stuck) {
    const now = await forge.getJob(repository, jobId);
    if (now === undefined || now.action === 'queued' || now.action === 'waiting') continue;
    log.info(
      { group, job: jobId, repository, action: now.action },
      'demand dropped: the job no longer waits on the forge',
    );
    events.push({ type: 'job', job: toJobNotice(now, key) });
  }
  if (events.length > 0) await signalDispatcher(group, events);
  return { asked: stuck.length, dropped: events.length };
}

/**
 * Publishes jobs that wait on the forge and that the group's dispatcher doesn't know, as if their webhook had arrived:
 * the relay decides which group serves them.
 */
export async function findLostJobs(
  { client, forge, publish, log }: DemandOptions,
  { settings, cursor }: { settings: GroupSettings; cursor: number },
): Promise<{ found: number; cursor: number }> {
  const { name: group, scope, labels } = settings;
  const queued = await forge.listQueuedJobs({ scope, labels, cursor });
  const known = new Set((await queryRoster(client, group)).waiting.map(({ key }) => key));
  const lost = queued.jobs.filter(
    ({ job }) => !known.has(toJobKey(job)) && Date.now() - Date.parse(job.createdAt ?? '') > MIN_JOB_AGE_MS,
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
  return { found: lost.length, cursor: queued.cursor };
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
