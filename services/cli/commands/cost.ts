import { z } from 'zod';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { duration } from '../../../contracts/config/duration.ts';
import { COST_KEYS, costReply, type CostReply } from '../../../contracts/messages/usage.ts';
import { parseOptions, printOptions } from '../lib/options.ts';
import { request, toError, withNats } from '../lib/request.ts';
import { formatTable } from '../lib/text-table.ts';
import { print } from '../lib/print.ts';

const options = printOptions.extend({ since: duration.prefault('30d'), by: z.enum(COST_KEYS).default('group') });

const TIMEOUT_MS = 60_000;

/**
 * `baton cost`: requests what finished instances were used for and cost, and prints the answer.
 *
 * @returns the exit code
 * @throws BatonError CONFIG_*, BUS_*; the error of the orchestrator
 */
export async function showCost(given: unknown): Promise<number> {
  const { since, by, json, ...nats } = parseOptions(options, given);
  const body = { version: 1, since: new Date(Date.now() - since).toISOString(), by };
  const answer = await withNats(nats, 'observer', (bus) =>
    request(bus, { subject: subjects.cost, body, action: 'requesting costs', timeoutMs: TIMEOUT_MS }, costReply),
  );
  if (json) print(JSON.stringify(answer, null, 2));
  else if (answer.ok) print(formatCost(answer, by));
  else throw toError(answer);
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
  return [table, ...rest, ...(sum === '' ? [] : [`total ${sum}`])].join('\n');
}
