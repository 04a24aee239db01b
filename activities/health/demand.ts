import type { Client } from '@temporalio/client';
import type { DispatcherEvent } from '../../contracts/workflows/dispatcher.ts';
import type { JobNotice } from '../../contracts/workflows/job.ts';
import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { Forge, ForgeJob } from '../../contracts/ports/forge.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { JobEvent } from '../../contracts/messages/job-event.ts';
import type { SignalDispatcher } from '../signals/signal-activities.ts';
import { queryRoster } from './observations.ts';

export interface DemandOptions {
  client: Client;
  forge: Forge;
  signalDispatcher: SignalDispatcher;
  publish: (event: JobEvent) => Promise<void>;
  log: Logger;
}

/** Jobs that one check asks about at most: those that wait longest. */
const MAX_JOBS_ASKED = 100;
/** A job that began to wait just now is being told by a webhook. */
const MIN_JOB_AGE_MS = 3000;

/**
 * Asks the forge about jobs that have been waiting for longer than that: was one taken or cancelled, and the webhook
 * that said so lost, its demand is dropped. A job that the forge doesn't show stays: that may be a missing permission.
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
  const news: DispatcherEvent[] = [];
  for (const { key, jobId, repository } of stuck) {
    const now = await forge.getJob(repository, jobId);
    if (now === undefined || now.action === 'queued' || now.action === 'waiting') continue;
    log.info({ group, job: jobId, repository, action: now.action }, 'demand dropped: the forge says it waits no more');
    news.push({ type: 'job', job: toJobNotice(now, key) });
  }
  if (news.length > 0) await signalDispatcher(group, news);
  return { asked: stuck.length, dropped: news.length };
}

/**
 * Publishes jobs that wait on the forge and that the group's dispatcher doesn't hold, as if their webhook had come:
 * which group they go to, the relay decides as always.
 */
export async function findLostJobs(
  { client, forge, publish, log }: DemandOptions,
  { settings, cursor }: { settings: GroupSettings; cursor: number },
): Promise<{ found: number; cursor: number }> {
  const { name: group, scope, labels } = settings;
  const looked = await forge.listQueuedJobs({ scope, labels, cursor });
  const known = new Set((await queryRoster(client, group)).waiting.map(({ key }) => key));
  const lost = looked.jobs.filter(
    ({ job }) => !known.has(toJobKey(job)) && Date.now() - Date.parse(job.createdAt ?? '') > MIN_JOB_AGE_MS,
  );
  for (const { job, repository } of lost) {
    log.info({ group, job: job.id, repository: repository.fullName }, 'a waiting job that no webhook told of');
    await publish({
      version: 1,
      forge: settings.forge,
      // The same whoever finds it and however often: one message.
      delivery: `found-${toJobKey(job)}`,
      action: 'queued',
      receivedAt: new Date().toISOString(),
      job,
      repository,
      organization: repository.owner,
      installationId: null,
    });
  }
  return { found: lost.length, cursor: looked.cursor };
}

const toJobKey = (job: ForgeJob['job']): string => `${job.id}:${job.runAttempt}`;

function toJobNotice({ action, job, repository }: ForgeJob, key: string): JobNotice {
  const { id: jobId, runId, runAttempt, workflow, name, url, conclusion, runnerName, labels } = job;
  const told = { key, delivery: `asked-${key}`, action, jobId, runId, runAttempt };
  const where = { repository: repository.fullName, private: repository.private, labels, workflow, name, url };
  return { ...told, ...where, conclusion, runnerName, at: new Date().toISOString() };
}
