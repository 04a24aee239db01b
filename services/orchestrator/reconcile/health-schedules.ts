import { createHash } from 'node:crypto';
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
  type ScheduleOptions,
} from '@temporalio/client';
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
import { formatDuration } from '../../../contracts/format.ts';

/** A check that takes longer than this is stuck; the next one takes over where it was. */
const LONGEST_CHECK = '30 min';

/**
 * Makes every group's health check a schedule as the configuration has it, and ends those of groups that are no more.
 * Safe to run from several orchestrators at once, and as often as the configuration is read.
 */
export async function reconcileHealthSchedules(client: Client, config: Config): Promise<void> {
  await Promise.all(config.groups.map((group) => keep(client, config, group)));
  const wanted = new Set(config.groups.map(({ name }) => healthScheduleId(name)));
  for await (const { scheduleId } of client.schedule.list()) {
    if (!scheduleId.startsWith(HEALTH_SCHEDULE_PREFIX) || wanted.has(scheduleId)) continue;
    await client.schedule.getHandle(scheduleId).delete().catch(unlessMissing);
  }
}

async function keep(client: Client, config: Config, group: GroupConfig): Promise<void> {
  const options = scheduleOf(config, group);
  try {
    await client.schedule.create(options);
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    const { scheduleId, memo: _memo, ...wanted } = options;
    // The note tells of the last check, and a pause is a person's word: both stay.
    await client.schedule.getHandle(scheduleId).update(({ state }) => ({ ...wanted, state }));
  }
}

function scheduleOf(config: Config, group: GroupConfig) {
  const every = getHealthInterval(config, group);
  return {
    scheduleId: healthScheduleId(group.name),
    spec: { intervals: [{ every, offset: offsetOf(group.name, every) }] },
    action: {
      type: 'startWorkflow',
      workflowType: HEALTH_CHECK_WORKFLOW,
      workflowId: healthScheduleId(group.name),
      taskQueue: TASK_QUEUE.orchestrator,
      args: [toHealthInput(config, group)],
      workflowExecutionTimeout: LONGEST_CHECK,
      staticSummary: `health check of ${group.name}`,
      typedSearchAttributes: [
        { key: SEARCH_ATTRIBUTES.group, value: group.name },
        { key: SEARCH_ATTRIBUTES.forge, value: config.forge.type },
        { key: SEARCH_ATTRIBUTES.backend, value: group.backend },
      ],
    },
    // What was missed while everything was down, one check makes good.
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 min' },
    state: { note: `compares forge, backend and workflows every ${formatDuration(every)}; no check yet` },
    memo: { installation: config.name },
  } satisfies ScheduleOptions;
}

/** Groups are not all checked at the same moment: a forge counts calls by the minute. Whole seconds. */
function offsetOf(group: string, every: number): number {
  const seconds = Math.max(1, Math.floor(every / 1000));
  return (createHash('sha256').update(group).digest().readUInt32BE(0) % seconds) * 1000;
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof ScheduleNotFoundError)) throw error;
}
