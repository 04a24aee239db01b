import { setTimeout as sleep } from 'node:timers/promises';
import { ScheduleNotFoundError, ScheduleOverlapPolicy, type Client, type ScheduleHandle } from '@temporalio/client';
import { z } from 'zod';
import { type HealthReport, healthScheduleId } from '../../../contracts/workflows/health.ts';
import { parseGroupFromSubject, wildcards } from '../../../contracts/messages/subjects.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { HealthReply } from '../../../contracts/messages/health.ts';
import type { RequestHandler } from '../../shared/request-server.ts';

/** `baton health` waits two minutes for the reply. */
const REPLY_TIMEOUT_MS = 110_000;
const POLL_INTERVAL_MS = 200;

/** Checks a group's health at once, by triggering its schedule, and replies with the check's result. */
export function createHealthHandler(client: Client): RequestHandler<unknown> {
  return {
    name: 'requested health check',
    subject: wildcards.health,
    queueGroup: 'health',
    schema: z.unknown(),
    handle: (_body, { subject, stop }) => checkGroup(client, parseGroupFromSubject(subject) ?? '', stop),
    logFields: (subject) => ({ group: parseGroupFromSubject(subject) ?? '' }),
  };
}

async function checkGroup(client: Client, group: string, stop: AbortSignal): Promise<HealthReply> {
  const handle = client.schedule.getHandle(healthScheduleId(group));
  const workflow = await triggerCheck(handle, group, stop);
  const timeout = sleep(REPLY_TIMEOUT_MS, undefined, { ref: false, signal: stop }).then(
    () => undefined,
    () => undefined,
  );
  const result: Promise<unknown> = client.workflow.getHandle(workflow).result();
  const report = await Promise.race([result, timeout]);
  if (!isReport(report)) {
    throw new BatonError('INTERNAL', `checking group ${group}: workflow ${workflow} is still running`);
  }
  const { state, ...shown } = report;
  return { ok: true, report: { ...shown, marks: state.marks.length }, workflow };
}

/**
 * @returns the id of the check's workflow, which started after this call
 * @throws BatonError GROUP_UNKNOWN
 */
async function triggerCheck(handle: ScheduleHandle, group: string, stop: AbortSignal): Promise<string> {
  try {
    const before = (await handle.describe()).info.numActionsTaken;
    // A check that runs already may have looked too early: another one follows it.
    await handle.trigger(ScheduleOverlapPolicy.BUFFER_ONE);
    const deadline = Date.now() + REPLY_TIMEOUT_MS;
    while (Date.now() < deadline && !stop.aborted) {
      const { info } = await handle.describe();
      const last = info.recentActions.at(-1)?.action;
      if (info.numActionsTaken > before && last !== undefined) return last.workflow.workflowId;
      await sleep(POLL_INTERVAL_MS);
    }
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) {
      throw new BatonError('GROUP_UNKNOWN', `checking group ${group}: there is no such group`, { cause: error });
    }
    throw error;
  }
  throw new BatonError('INTERNAL', `checking group ${group}: its check did not start`);
}

function isReport(result: unknown): result is HealthReport {
  return typeof result === 'object' && result !== null && 'state' in result;
}
