import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { DISPATCHER_WORKFLOW, type DispatcherEvent } from '../../../contracts/workflows/dispatcher.ts';
import type { JobNotice, MovedJob } from '../../../contracts/workflows/job.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { Config } from '../../../contracts/config/config.ts';
import { servesDelegation } from '../../../contracts/config/delegation.ts';
import { isDemandKey } from '../../../contracts/workflows/delegation.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { SignalActivities } from '../../../contracts/ports/signal-activities.ts';
import { createDispatcherStart } from '../../shared/dispatcher-start.ts';
import type { NewestConfig } from '../../shared/newest-config/newest-config.ts';
import { matchConfig, matchJob, type Match } from '../../shared/matching/match.ts';
import type { DeadLetterJob } from './dead-letter-job.ts';

/**
 * Before a group gets its own jobs back: the group was removed and added again, and its dispatcher or this process has not read the
 * newer configuration yet.
 */
const RETURN_DELAY_MS = 1000;

/**
 * The activity that gives the waiting jobs of a removed (or renamed) group to the groups that serve them now; the time that they
 * have waited counts on. Moving a job twice does no harm: dispatchers know it by its key. A job that no group serves any more
 * becomes a dead letter.
 */
export function createMoveJobs(options: {
  client: Client;
  newest: Pick<NewestConfig, 'read'>;
  deadLetterJob: DeadLetterJob;
  log: Logger;
}): SignalActivities['moveJobs'] {
  const { client, newest, deadLetterJob, log } = options;
  return async ({ from, jobs }) => {
    const config = await newest.read();
    // Only the newest configuration may say that no group serves a job; the activity is tried again, perhaps by another orchestrator.
    if (config === undefined) {
      throw new BatonError('BUS_UNAVAILABLE', `moving jobs of group ${from}: the newest configuration is not known`);
    }
    const eventsByGroup = new Map<string, DispatcherEvent[]>();
    for (const job of jobs) {
      const { group, hosted, proxies, reason } = matchMovedJob(job, config);
      if (group === undefined) {
        const facts = { group: from, job: job.jobId, repository: job.repository, reason };
        // The delegation's workflow shows what becomes of its order; the forge or a proxy takes the other kinds.
        const lost = !hosted && !proxies && !isDemandKey(job.key);
        log.warn(lost ? { code: 'NO_GROUP', ...facts } : facts, 'waiting job dropped: no group serves it');
        if (lost) await deadLetterJob(job, from, reason);
        continue;
      }
      const events = eventsByGroup.get(group.name) ?? [];
      eventsByGroup.set(group.name, events);
      events.push({ type: 'job', job: toJobNotice(job, from) });
    }
    for (const group of config.groups) {
      const events = eventsByGroup.get(group.name);
      if (events === undefined) continue;
      if (group.name === from) await sleep(RETURN_DELAY_MS);
      await client.workflow.signalWithStart(DISPATCHER_WORKFLOW, createDispatcherStart(config, group, events));
      log.info({ from, group: group.name, jobs: events.length }, 'waiting jobs moved');
    }
  };
}

/** A delegation's order goes to a group that serves delegations, and to no other. */
function matchMovedJob(job: MovedJob, config: Config): Match {
  if (!isDemandKey(job.key)) return matchConfig(job, config);
  return matchJob(
    job,
    config.groups.filter(({ name }) => servesDelegation(config, name)),
  );
}

function toJobNotice({ since, ...job }: MovedJob, from: string): JobNotice {
  return {
    ...job,
    delivery: `moved-from-${from}`,
    action: 'queued',
    name: '',
    url: null,
    conclusion: null,
    runnerName: null,
    at: since,
  };
}
