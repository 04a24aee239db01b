import { createHash } from 'node:crypto';
import { ScheduleAlreadyRunning, ScheduleOverlapPolicy, type Client, type ScheduleOptions } from '@temporalio/client';
import { ignoreMissing } from '../../../activities/lib/missing.ts';
import { SEARCH_ATTRIBUTES } from '../../../contracts/workflows/search-attributes.ts';
import {
  HEALTH_CHECK_WORKFLOW,
  HEALTH_SCHEDULE_PREFIX,
  healthScheduleId,
} from '../../../contracts/workflows/health.ts';
import { TASK_QUEUE } from '../../../contracts/workflows/task-queues.ts';
import type { Config } from '../../../contracts/config/config.ts';
import type { GroupConfig } from '../../../contracts/config/group.ts';
import { toHealthInput, getHealthInterval } from '../../../contracts/config/health-settings.ts';
import type { ReadNewest } from '../../shared/newest-config/newest-config.ts';
import { formatDuration } from '../../../contracts/format.ts';

/** A check that takes longer is stuck: Temporal ends it, and the next check continues from the last one that completed. */
const CHECK_TIMEOUT = '30 min';

/**
 * Creates or updates the health schedule of every group, and deletes the schedules of removed groups. Idempotent; safe to run
 * from several orchestrators at once.
 */
export async function reconcileHealthSchedules(client: Client, config: Config, readNewest: ReadNewest): Promise<void> {
  await Promise.all(config.groups.map((group) => reconcileSchedule(client, config, group)));
  await deleteRemovedSchedules(client, readNewest);
}

/** Deletes the schedules of removed groups, and creates those that do not exist: somebody deleted them by hand. */
export async function correctHealthSchedules(client: Client, readNewest: ReadNewest): Promise<void> {
  const { found, config } = await deleteRemovedSchedules(client, readNewest);
  if (config === undefined) return;
  for (const group of config.groups) {
    if (!found.has(healthScheduleId(group.name))) await reconcileSchedule(client, config, group);
  }
}

/** @returns the ids of all schedules, and the newest configuration where it is known */
async function deleteRemovedSchedules(
  client: Client,
  readNewest: ReadNewest,
): Promise<{ found: ReadonlySet<string>; config: Config | undefined }> {
  const found = await listSchedules(client);
  const config = await readNewest();
  if (config === undefined) return { found, config };
  const wanted = new Set(config.groups.map(({ name }) => healthScheduleId(name)));
  for (const scheduleId of found) {
    if (!wanted.has(scheduleId)) await ignoreMissing(client.schedule.getHandle(scheduleId).delete());
  }
  return { found, config };
}

/** The ids of all health schedules, from Temporal's visibility. */
async function listSchedules(client: Client): Promise<Set<string>> {
  const found = new Set<string>();
  for await (const { scheduleId } of client.schedule.list()) {
    if (scheduleId.startsWith(HEALTH_SCHEDULE_PREFIX)) found.add(scheduleId);
  }
  return found;
}

async function reconcileSchedule(client: Client, config: Config, group: GroupConfig): Promise<void> {
  const options = toSchedule(config, group);
  try {
    await client.schedule.create(options);
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    const { scheduleId, memo: _memo, ...wanted } = options;
    // `state` holds the note with the result of the last check, and whether an operator paused the schedule: neither may change.
    await client.schedule.getHandle(scheduleId).update(({ state }) => ({ ...wanted, state }));
  }
}

function toSchedule(config: Config, group: GroupConfig) {
  const every = getHealthInterval(config, group);
  const offset = computeOffset(group, every);
  return {
    scheduleId: healthScheduleId(group.name),
    spec: { intervals: [{ every, offset }] },
    action: {
      type: 'startWorkflow',
      workflowType: HEALTH_CHECK_WORKFLOW,
      workflowId: healthScheduleId(group.name),
      taskQueue: TASK_QUEUE.orchestrator,
      args: [{ ...toHealthInput(config, group), schedule: { everyMs: every, offsetMs: offset } }],
      workflowExecutionTimeout: CHECK_TIMEOUT,
      staticSummary: `health check of ${group.name}`,
      typedSearchAttributes: [
        { key: SEARCH_ATTRIBUTES.group, value: group.name },
        { key: SEARCH_ATTRIBUTES.forge, value: config.forge.type },
        { key: SEARCH_ATTRIBUTES.backend, value: group.backend },
      ],
    },
    // After an outage one check is enough, not one for every check that was missed.
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 min' },
    state: { note: `compares forge, backend and workflows every ${formatDuration(every)}; no check yet` },
    memo: { installation: config.name },
  } satisfies ScheduleOptions;
}

/** Checks of one organisation's groups start within this time, and within a quarter of the interval: they share a look at the forge. */
const MAX_SPREAD_SECONDS = 30;

/**
 * Spreads the organisations' checks over the interval, since a forge limits calls per minute, and the checks of one organisation's
 * groups over some seconds. Whole seconds, as milliseconds.
 */
function computeOffset({ organization, name }: GroupConfig, every: number): number {
  const seconds = Math.max(1, Math.floor(every / 1000));
  const spread = Math.max(1, Math.min(MAX_SPREAD_SECONDS, Math.floor(seconds / 4)));
  return ((hash(organization.toLowerCase()) + (hash(name) % spread)) % seconds) * 1000;
}

const hash = (text: string): number => createHash('sha256').update(text).digest().readUInt32BE(0);
