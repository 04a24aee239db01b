import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { DISPATCHER_WORKFLOW, type DispatcherEvent } from '../../../contracts/workflows/dispatcher.ts';
import type { JobNotice, MovedJob } from '../../../contracts/workflows/job.ts';
import type { Config } from '../../../contracts/config/config.ts';
import { servesDelegation } from '../../../contracts/config/delegation.ts';
import { isDemandKey } from '../../../contracts/workflows/delegation.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { dispatcherStart } from '../../shared/dispatcher-start.ts';
import type { LiveConfig } from '../../shared/live-config.ts';
import { matchConfig, matchJob, type Match } from '../../shared/matching/match.ts';
import type { LetGo } from './dead-letter-job.ts';

/** Before a group is given its own jobs back: it, or this process, has not heard yet that it was put back, or removed. */
const PUT_BACK_MS = 1000;

/**
 * Gives the waiting jobs of a group that was removed (or renamed) to those that serve them now, with the time they have waited.
 * Telling twice does no harm: a job is known by its key. One that nobody serves any more becomes a dead letter.
 */
export function jobMover(client: Client, live: LiveConfig, letGo: LetGo, log: Logger) {
  return async ({ from, jobs }: { from: string; jobs: MovedJob[] }): Promise<void> => {
    const config = live.current;
    const byGroup = new Map<string, DispatcherEvent[]>();
    for (const job of jobs) {
      const { group, hosted, proxies, reason } = serving(job, config);
      if (group === undefined) {
        const about = { group: from, job: job.jobId, repository: job.repository, reason };
        // An order of a delegation's is its workflow's to show; the others are the forge's or a proxy's to take.
        const lost = !hosted && !proxies && !isDemandKey(job.key);
        log.warn(lost ? { code: 'NO_GROUP', ...about } : about, 'a job is let go');
        if (lost) await letGo(job, from, reason);
        continue;
      }
      const news = byGroup.get(group.name) ?? [];
      byGroup.set(group.name, news);
      news.push({ type: 'job', job: noticeOf(job, from) });
    }
    for (const group of config.groups) {
      const news = byGroup.get(group.name);
      if (news === undefined) continue;
      if (group.name === from) await sleep(PUT_BACK_MS);
      await client.workflow.signalWithStart(DISPATCHER_WORKFLOW, dispatcherStart(config, group, news));
      log.info({ from, group: group.name, jobs: news.length }, 'waiting jobs moved');
    }
  };
}

/** The order of a delegation goes where delegations are served, and nothing else does. */
function serving(job: MovedJob, config: Config): Match {
  if (!isDemandKey(job.key)) return matchConfig(job, config);
  return matchJob(
    job,
    config.groups.filter(({ name }) => servesDelegation(config, name)),
  );
}

function noticeOf({ since, ...job }: MovedJob, from: string): JobNotice {
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
