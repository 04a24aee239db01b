import { z } from 'zod';
import { connectBus, decode } from '../../../contracts/lib/nats.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import { healthReply, type HealthReply } from '../../../contracts/messages/health.ts';
import { findNats } from '../lib/find-nats.ts';

const options = z.object({
  config: z.string().optional(),
  credentials: z.string().optional(),
  json: z.boolean().default(false),
});

/** A little longer than the orchestrator takes at most. */
const ANSWER_MS = 118_000;

/**
 * `baton health GROUP`: has the group checked now, waits for the result and prints it.
 *
 * @returns the exit code: 0 where all is well or repaired, 1 where something got no answer or the check was not made
 * @throws BatonError CONFIG_*, BUS_UNAVAILABLE, BUS_DENIED
 */
export async function checkHealth(group: string, given: unknown): Promise<number> {
  const { config, credentials, json } = options.parse(given);
  const { url, tls, credentialsFile } = findNats(config, credentials);
  const bus = await connectBus({ url, tls, name: 'baton health', credentialsFile, waitForServer: false });
  let answer: HealthReply;
  try {
    const reply = await bus.request(subjects.health(group), undefined, { timeout: ANSWER_MS });
    answer = healthReply.parse(decode(reply.data));
  } catch (error) {
    const what = `asking for a health check at ${bus.getServer()}: ${messageOf(error)}; does an orchestrator run?`;
    throw new BatonError('BUS_UNAVAILABLE', what, { cause: error });
  } finally {
    await bus.close();
  }
  if (json) console.log(JSON.stringify(answer, null, 2));
  else if (answer.ok) console.log(formatHealth(answer));
  else console.error(`error: ${answer.message} (${answer.code})`);
  return answer.ok && answer.report.unanswered.length === 0 ? 0 : 1;
}

function formatHealth({ report, workflow }: Extract<HealthReply, { ok: true }>): string {
  const { demand } = report;
  const list = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
  return [
    `group ${report.group}, ${report.at}: ${report.runners} runners (workflow ${workflow})`,
    ...list('marked, removed by a later check if still so', report.marked),
    ...list('repaired', report.repaired),
    ...list('no answer', report.unanswered),
    `jobs that wait long: ${demand.asked} asked about, ${demand.dropped} wait no more`,
    `webhooks: ${report.redelivered} sent again; ${report.found} waiting jobs found that none had told of`,
    ...(report.marks === 0 ? [] : [`${report.marks} marked in all`]),
  ].join('\n');
}
