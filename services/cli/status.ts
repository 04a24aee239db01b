import { z } from 'zod';
import { connectBus, decode, type Bus } from '../../contracts/bus/connection.ts';
import { subjects } from '../../contracts/bus/subjects.ts';
import { formatDuration } from '../../contracts/format.ts';
import { BatonError, messageOf } from '../../contracts/errors.ts';
import { status, type Status } from '../../contracts/messages/status.ts';
import { findBus, type BusAddress } from './find-bus.ts';
import { textTable } from './text-table.ts';

const options = z.object({
  config: z.string().optional(),
  credentials: z.string().optional(),
  json: z.boolean().default(false),
});

/**
 * `baton status`: asks the orchestrator over NATS and prints the answer.
 *
 * @returns the exit code
 * @throws BatonError CONFIG_*, BUS_UNAVAILABLE, BUS_DENIED
 */
export async function showStatus(given: unknown): Promise<number> {
  const { config, credentials, json } = options.parse(given);
  const answer = await askStatus(findBus(config, credentials));
  console.log(json ? JSON.stringify(answer, null, 2) : statusText(answer));
  return 0;
}

async function askStatus(address: BusAddress): Promise<Status> {
  const { url, tls, credentialsFile } = address;
  const bus = await connectBus({ url, tls, name: 'baton status', credentialsFile, waitForServer: false });
  try {
    return await requestStatus(bus, 5000);
  } finally {
    await bus.close();
  }
}

/**
 * Asks the orchestrator what is going on.
 *
 * @throws BatonError BUS_UNAVAILABLE when none answers within `timeoutMs`
 */
export async function requestStatus(bus: Bus, timeoutMs: number): Promise<Status> {
  try {
    const reply = await bus.request(subjects.status, undefined, { timeout: timeoutMs });
    return status.parse(decode(reply.data));
  } catch (error) {
    const what = `asking for the status at ${bus.getServer()}: ${messageOf(error)}; does an orchestrator run?`;
    throw new BatonError('BUS_UNAVAILABLE', what, { cause: error });
  }
}

function statusText(answer: Status): string {
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
    group.backoffUntil === null ? '' : `held back until ${group.backoffUntil}`,
  ]);
  const runners = answer.runners
    .filter((runner) => runner.closedAt === null)
    .map((runner) => [runner.name, runner.phase, runner.repository ?? '', runner.jobId ?? '', since(runner.startedAt)]);
  const parts = [
    `manager ${answer.manager}, ${answer.at}`,
    textTable([['GROUP', 'BACKEND', 'WAITING', 'BUSY', 'READY', 'MIN–MAX', ''], ...groups]),
    runners.length === 0 ? 'no runners' : textTable([['RUNNER', 'PHASE', 'REPOSITORY', 'JOB', 'AGE'], ...runners]),
  ];
  const used = answer.runners
    .filter((runner) => runner.resources !== null)
    .slice(0, 10)
    .map((runner) => [runner.name, runner.phase, runner.repository ?? '', runner.resources ?? '']);
  if (used.length > 0) parts.push(textTable([['JOBS LATELY', 'PHASE', 'REPOSITORY', 'USED'], ...used]));
  if (answer.deadLetters > 0) parts.push(`${answer.deadLetters} dead letters`);
  return parts.join('\n\n');
}
