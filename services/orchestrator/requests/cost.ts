import { DeliverPolicy } from 'nats';
import { decode, encode, type Bus, type Msg } from '../../../contracts/lib/nats.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import {
  costQuestion,
  usageMessage,
  type CostKey,
  type CostLine,
  type CostReply,
  type UsageMessage,
} from '../../../contracts/messages/usage.ts';
import { instanceMs } from '../usage/instance-cost.ts';
import { describeWrongFields } from '../../../contracts/lib/schema-errors.ts';

const HOUR_MS = 3_600_000;
/** An answer fits into one message of the bus. */
const LINES_AT_MOST = 1000;
const BATCH = 1000;
const BATCH_WITHIN_MS = 5000;

/** Answers "what did it cost?" on the bus, from the stream of all instances that have ended. */
export class CostDoor {
  private readonly bus: Bus;
  private readonly log: Logger;

  constructor({ bus, log }: { bus: Bus; log: Logger }) {
    this.bus = bus;
    this.log = log;
  }

  /** Takes questions, shared with every other orchestrator, until `stop` fires. */
  async run(stop: AbortSignal): Promise<void> {
    const subscription = this.bus.subscribe(subjects.cost, { queue: 'cost' });
    const drain = (): void => void subscription.drain();
    stop.addEventListener('abort', drain);
    if (stop.aborted) drain();
    for await (const message of subscription) await this.answer(message);
  }

  private async answer(message: Msg): Promise<void> {
    let reply: CostReply;
    try {
      const question = costQuestion.safeParse(decode(message.data));
      if (!question.success) {
        throw new BatonError('MESSAGE_INVALID', `a question about cost: ${describeWrongFields(question.error)}`);
      }
      const lines = await this.add(question.data.since, question.data.by);
      reply = { ok: true, lines: lines.slice(0, LINES_AT_MOST), total: lines.length };
    } catch (error) {
      const code = error instanceof BatonError ? error.code : 'INTERNAL';
      this.log.warn({ code, reason: messageOf(error) }, 'costs could not be told');
      reply = { ok: false, code, message: messageOf(error) };
    }
    message.respond(encode(reply));
  }

  private async add(since: string, by: CostKey): Promise<CostLine[]> {
    const sums = new Map<string, CostLine>();
    for await (const use of this.uses(since)) {
      const key = keyOf(use, by);
      const market = use.market ?? null;
      const currency = use.cost?.currency ?? null;
      const id = JSON.stringify([key, market, currency]);
      const line = sums.get(id) ?? {
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
      sums.set(id, line);
    }
    return [...sums.values()].toSorted((a, b) => b.hours - a.hours);
  }

  private async *uses(since: string): AsyncGenerator<UsageMessage> {
    const consumer = await this.bus.jetstream().consumers.get(STREAMS.usage.name, {
      deliver_policy: DeliverPolicy.StartTime,
      opt_start_time: since,
    });
    let left = (await consumer.info()).num_pending;
    while (left > 0) {
      const batch = await consumer.fetch({ max_messages: Math.min(BATCH, left), expires: BATCH_WITHIN_MS });
      let taken = 0;
      for await (const message of batch) {
        taken += 1;
        const use = usageMessage.safeParse(decode(message.data));
        if (use.success) yield use.data;
        else this.log.warn({ sequence: message.seq }, 'a use does not have its documented shape');
      }
      if (taken === 0) throw new BatonError('BUS_UNAVAILABLE', `reading ${STREAMS.usage.name}: nothing came`);
      left -= taken;
    }
  }
}

function keyOf(use: UsageMessage, by: CostKey): string {
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
