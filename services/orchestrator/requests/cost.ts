import { decode, type Bus } from '../../../contracts/lib/nats.ts';
import { readStream } from '../../../contracts/lib/stream-reader.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import {
  costRequest,
  usageMessage,
  type CostKey,
  type CostLine,
  type CostRequest,
  type CostReply,
  type UsageMessage,
} from '../../../contracts/messages/usage.ts';
import type { RequestHandler } from '../../shared/request-server.ts';
import { instanceMs } from '../usage/instance-cost.ts';

const HOUR_MS = 3_600_000;
/** So that the reply fits into one NATS message. */
const MAX_LINES = 1000;

/** Sums up what instances cost, from the stream of all instances that have ended. One query at a time: each reads many messages. */
export function createCostHandler(bus: Bus, log: Logger): RequestHandler<CostRequest> {
  return {
    name: 'cost query',
    subject: subjects.cost,
    queueGroup: 'cost',
    schema: costRequest,
    sequential: true,
    handle: async ({ since, by }): Promise<CostReply> => {
      const lines = await sumCosts(readUsage(bus, since, log), by);
      return { ok: true, lines: lines.slice(0, MAX_LINES), total: lines.length };
    },
  };
}

async function sumCosts(uses: AsyncIterable<UsageMessage>, by: CostKey): Promise<CostLine[]> {
  const lines = new Map<string, CostLine>();
  for await (const use of uses) {
    const key = toCostKey(use, by);
    const market = use.market ?? null;
    const currency = use.cost?.currency ?? null;
    const id = JSON.stringify([key, market, currency]);
    const line = lines.get(id) ?? {
      key,
      market,
      currency,
      instances: 0,
      hours: 0,
      amount: currency === null ? null : 0,
    };
    line.instances += 1;
    line.hours += instanceMs(use) / HOUR_MS;
    if (line.amount !== null && use.cost !== undefined) line.amount += use.cost.amount;
    lines.set(id, line);
  }
  return [...lines.values()].toSorted((a, b) => b.hours - a.hours);
}

/** The usage messages since then; one that can't be read is logged and skipped. @throws BatonError BUS_UNAVAILABLE */
async function* readUsage(bus: Bus, since: string, log: Logger): AsyncGenerator<UsageMessage> {
  for await (const { data, sequence } of readStream(bus, STREAMS.usage, { since: new Date(since) })) {
    const use = usageMessage.safeParse(decode(data));
    if (use.success) yield use.data;
    else log.warn({ sequence }, 'invalid usage message skipped');
  }
}

function toCostKey(use: UsageMessage, by: CostKey): string {
  const { repository = 'no job', workflow, job } = use;
  switch (by) {
    case 'repository':
      return repository;
    case 'job':
      return [repository, workflow, job].filter((part) => part !== undefined).join(' / ');
    case 'machine':
      return `${use.backend}${use.machine === undefined ? '' : ` ${use.machine}`}`;
    case 'group':
    case 'backend':
      return use[by];
    default:
      return by satisfies never;
  }
}
