import type { Bus } from '../../../contracts/lib/nats.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { formatDuration, formatJobTitle } from '../../../contracts/format.ts';
import { status, type GroupStatus, type RunnerStatus, type Status } from '../../../contracts/messages/status.ts';
import { describePassedOver } from '../../../contracts/workflows/passed-over.ts';
import { describePace } from '../../../contracts/workflows/pace.ts';
import { formatForgeLimits } from '../lib/forge-limits-table.ts';
import { parseOptions, printOptions } from '../lib/options.ts';
import { request, withNats } from '../lib/request.ts';
import { formatTable } from '../lib/text-table.ts';
import { print } from '../lib/print.ts';

/** Of a group's notes, which are whole sentences. */
const MAX_NOTES_LENGTH = 200;

/**
 * `baton status`: requests the status from the orchestrator and prints it.
 *
 * @returns the exit code
 * @throws BatonError CONFIG_*, BUS_UNAVAILABLE, BUS_DENIED
 */
export async function showStatus(given: unknown): Promise<number> {
  const { json, ...nats } = parseOptions(printOptions, given);
  const answer = await withNats(nats, 'observer', (bus) => requestStatus(bus));
  print(json ? JSON.stringify(answer, null, 2) : formatStatus(answer));
  return 0;
}

/**
 * The status of the installation, from the orchestrator.
 *
 * @throws BatonError BUS_UNAVAILABLE, BUS_DENIED
 */
export async function requestStatus(bus: Bus, timeoutMs = 5000): Promise<Status> {
  return await request(bus, { subject: subjects.status, action: 'requesting the status', timeoutMs }, status);
}

function formatStatus(answer: Status): string {
  const now = Date.now();
  const since = (iso: string): string => formatDuration(now - Date.parse(iso));
  const groups = answer.groups.map((group) => [
    group.name,
    group.backend,
    group.waiting > 0 && group.oldestWaitingSince !== null
      ? `${group.waiting}, oldest ${since(group.oldestWaitingSince)}`
      : String(group.waiting),
    String(group.busy),
    String(group.ready),
    `${group.min}–${group.max}`,
    formatNotes(group),
  ]);
  const runners = answer.runners
    .filter((runner) => runner.closedAt === null)
    .map((runner) => [runner.name, runner.phase, runner.repository ?? '', formatJob(runner), since(runner.startedAt)]);
  const parts = [
    `installation ${answer.installation}, ${answer.at}`,
    ...(answer.olderFile === null ? [] : [`note: ${answer.olderFile}`]),
    formatTable([['GROUP', 'BACKEND', 'WAITING', 'BUSY', 'READY', 'MIN–MAX', ''], ...groups], MAX_NOTES_LENGTH),
    runners.length === 0 ? 'no runners' : formatTable([['RUNNER', 'PHASE', 'REPOSITORY', 'JOB', 'AGE'], ...runners]),
  ];
  const used = answer.runners
    .filter((runner) => runner.resources !== null)
    .slice(0, 10)
    .map((runner) => [runner.name, runner.phase, runner.repository ?? '', formatJob(runner), runner.resources ?? '']);
  if (used.length > 0) parts.push(formatTable([['RECENT RUNNER', 'PHASE', 'REPOSITORY', 'JOB', 'USED'], ...used]));
  const limits = formatForgeLimits(answer.forge);
  if (limits !== '') parts.push(limits);
  if (answer.deadLetters > 0) {
    const newest = answer.unserved.map(({ at, code, reason }) => `  ${since(at)} ago, ${code}: ${reason}`);
    parts.push([`dead letters: ${answer.deadLetters}`, ...newest].join('\n'));
  }
  return parts.join('\n\n');
}

/** The job of a runner; its id while no more is known of it. */
function formatJob({ workflow, job, jobId }: RunnerStatus): string {
  return formatJobTitle(workflow, job) || (jobId === null ? '' : `job ${jobId}`);
}

function formatNotes(group: GroupStatus): string {
  const { mode, removed, busy, ready, leaving, lingering, wantedSlots, backoffUntil, pace, passedOver } = group;
  const notes: string[] = [];
  if (removed) notes.push('removed, draining');
  else if (mode !== 'active') notes.push(mode);
  if (wantedSlots > 0) notes.push(`${wantedSlots} wait for a slot of the backend`);
  if (pace !== null) notes.push(describePace(pace, busy + ready + leaving));
  if (backoffUntil !== null) notes.push(`starts paused until ${backoffUntil}`);
  if (passedOver !== null) notes.push(describePassedOver(passedOver));
  if (leaving > 0) notes.push(`${leaving} leaving`);
  if (lingering > 0)
    notes.push(`${lingering} ${lingering === 1 ? 'registration waits' : 'registrations wait'} for GitHub to let go`);
  return notes.join(', ');
}
