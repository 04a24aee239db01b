import { subjects } from '../../../contracts/messages/subjects.ts';
import { healthReply, type HealthReply } from '../../../contracts/messages/health.ts';
import { parseOptions, printOptions } from '../lib/options.ts';
import { request, toError, withNats } from '../lib/request.ts';
import { print } from '../lib/print.ts';

/** A little longer than the orchestrator takes at most. */
const TIMEOUT_MS = 118_000;

/**
 * `baton health GROUP`: has the group checked now, waits for the result and prints it.
 *
 * @returns the exit code: 0 where all is well or repaired, 1 where something gave no answer or the check was not made
 * @throws BatonError CONFIG_*, BUS_*; the error of the orchestrator
 */
export async function checkHealth(group: string, given: unknown): Promise<number> {
  const { json, ...nats } = parseOptions(printOptions, given);
  const action = `requesting a health check of group ${group}`;
  const answer = await withNats(nats, 'observer', (bus) =>
    request(bus, { subject: subjects.health(group), action, timeoutMs: TIMEOUT_MS }, healthReply),
  );
  if (json) print(JSON.stringify(answer, null, 2));
  else if (answer.ok) print(formatHealth(answer));
  else throw toError(answer);
  return answer.ok && answer.report.unanswered.length === 0 ? 0 : 1;
}

function formatHealth({ report, workflow }: Extract<HealthReply, { ok: true }>): string {
  const { demand } = report;
  const list = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
  return [
    `group ${report.group}, ${report.at}: ${report.runners} runners (workflow ${workflow})`,
    ...list('marked, to be removed by a later check', report.marked),
    ...list('repaired', report.repaired),
    ...list('no answer', report.unanswered),
    ...list('notes', report.notes),
    `jobs that wait long: ${demand.asked} checked with the forge, ${demand.dropped} no longer wait`,
    `webhooks: ${report.redelivered} redelivered; ${report.found} waiting jobs found without a webhook`,
    ...(report.marks === 0 ? [] : [`marked in total: ${report.marks}`]),
  ].join('\n');
}
