import { z } from 'zod';
import { connectBus, decode, encode } from '../../../contracts/lib/nats.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { duration } from '../../../contracts/config/duration.ts';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import { COST_KEYS, costReply, type CostReply } from '../../../contracts/messages/usage.ts';
import { findNats } from '../lib/find-nats.ts';
import { formatTable } from '../lib/text-table.ts';

const options = z.object({
  config: z.string().optional(),
  credentials: z.string().optional(),
  since: duration.prefault('30d'),
  by: z.enum(COST_KEYS).default('group'),
  json: z.boolean().default(false),
});

const ANSWER_MS = 60_000;

/**
 * `baton cost`: asks what instances that have ended were used for and cost, and prints the answer.
 *
 * @returns the exit code
 * @throws BatonError CONFIG_*, BUS_UNAVAILABLE, BUS_DENIED
 */
export async function showCost(given: unknown): Promise<number> {
  const { config, credentials, since, by, json } = options.parse(given);
  const { url, tls, credentialsFile } = findNats(config, credentials);
  const bus = await connectBus({ url, tls, name: 'baton cost', credentialsFile, waitForServer: false });
  let answer: CostReply;
  try {
    const question = { version: 1, since: new Date(Date.now() - since).toISOString(), by };
    const reply = await bus.request(subjects.cost, encode(question), { timeout: ANSWER_MS });
    answer = costReply.parse(decode(reply.data));
  } catch (error) {
    const what = `asking for costs at ${bus.getServer()}: ${messageOf(error)}; does an orchestrator run?`;
    throw new BatonError('BUS_UNAVAILABLE', what, { cause: error });
  } finally {
    await bus.close();
  }
  if (json) console.log(JSON.stringify(answer, null, 2));
  else if (answer.ok) console.log(formatCost(answer, by));
  else console.error(`error: ${answer.message} (${answer.code})`);
  return answer.ok ? 0 : 1;
}

function formatCost({ lines, total }: Extract<CostReply, { ok: true }>, by: string): string {
  if (lines.length === 0) return 'no instance has ended in that time';
  const rows = lines.map(({ key, market, instances, hours, currency, amount }) => [
    key,
    market ?? '',
    String(instances),
    hours.toFixed(2),
    amount === null ? 'no price' : `${amount.toFixed(amount < 1 ? 4 : 2)} ${currency}`,
  ]);
  const sums = new Map<string, number>();
  for (const { currency, amount } of lines) {
    if (currency !== null && amount !== null) sums.set(currency, (sums.get(currency) ?? 0) + amount);
  }
  const sum = [...sums].map(([currency, amount]) => `${amount.toFixed(2)} ${currency}`).join(', ');
  const table = formatTable([[by.toUpperCase(), 'MARKET', 'INSTANCES', 'HOURS', 'COST'], ...rows], 72);
  const rest = total > lines.length ? [`… and ${total - lines.length} more lines`] : [];
  return [table, ...rest, ...(sum === '' ? [] : [`together ${sum}`])].join('\n');
}
