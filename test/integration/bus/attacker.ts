import type { NatsConnection } from 'nats';
import type { AccountName } from '../../../deploy/nats/accounts.ts';
import { OTHER, OWN, type Target, toConcrete } from './targets.ts';

/** What a credential reaches, by subject: `publish`, `subscribe`, or only as the reply subject of something else. */
export interface Reach {
  publish: string[];
  subscribe: string[];
  reply: string[];
}

/** Connections that may do everything, one for each account, and the messages that they have seen. */
export class Watchers {
  readonly #buses: ReadonlyMap<AccountName, NatsConnection>;
  #seen: { account: AccountName; subject: string; body: string }[] = [];

  constructor(buses: ReadonlyMap<AccountName, NatsConnection>) {
    this.#buses = buses;
    for (const [account, bus] of buses) {
      bus.subscribe('>', {
        callback: (error, { subject, reply, data }) => {
          if (error) throw error;
          // What a consumer delivers is shown with the subject under which it was stored, but isn't published there again.
          if (reply?.startsWith('$JS.ACK.')) return;
          this.#seen.push({ account, subject, body: new TextDecoder().decode(data) });
        },
      });
    }
  }

  get(account: AccountName): NatsConnection {
    const bus = this.#buses.get(account);
    if (bus === undefined) throw new Error(`no connection watches the account ${account}`);
    return bus;
  }

  /** Messages since the last call: all that the server has delivered by now. */
  async take(): Promise<{ account: AccountName; subject: string; body: string }[]> {
    await Promise.all([...this.#buses.values()].map((bus) => bus.flush()));
    return this.#seen.splice(0);
  }
}

/**
 * Tries every subject with a credential: to publish on it, to subscribe to it, and to have an answer delivered to it by each subject
 * that it may publish on. Whether it arrived is seen from inside the accounts.
 *
 * @param connect a new connection with the attacker's credential
 */
export async function attack(
  connect: () => Promise<NatsConnection>,
  targets: readonly Target[],
  watchers: Watchers,
): Promise<Reach> {
  const bus = await connect();
  const reach: Reach = { publish: [], subscribe: [], reply: [] };
  const tries = targets.flatMap((target) => toTries(target));
  await watchers.take();
  for (const { concrete } of tries) bus.publish(concrete, `attack on ${concrete}`);
  await bus.flush();
  const published = await watchers.take();
  for (const { shown, concrete, account } of tries) {
    const arrived = published.some((seen) => seen.account === account && seen.body === `attack on ${concrete}`);
    if (arrived) reach.publish.push(shown);
  }
  reach.subscribe = await trySubscribing(bus, tries, watchers);
  reach.reply = await tryReplies(bus, tries, reach, watchers);
  await bus.close();
  return reach;
}

/** A question to JetStream that it answers at once. */
const BODY = JSON.stringify({ batch: 1, no_wait: true });

/** Calls that would change a stream: these are only tried with the attacker's credential. */
const CHANGES =
  /^\$JS\.API\.(STREAM\.(CREATE|UPDATE|DELETE|PURGE|MSG\.DELETE)|CONSUMER\.(DURABLE|CREATE|DELETE)|ACCOUNT)\./;

/** What the watchers send on every subject begins with it. */
const SECRET = 'secret of ';

interface Try {
  /** The subject as the report shows it. */
  shown: string;
  concrete: string;
  account: AccountName;
}

/** Of a subject of runners: the attacker's own, and another runner's. */
function toTries({ subject, account }: Target): Try[] {
  if (!subject.includes('RUNNER')) return [{ shown: subject, concrete: toConcrete(subject, ''), account }];
  return [
    { shown: subject.replace('RUNNER', 'own'), concrete: toConcrete(subject, OWN), account },
    { shown: subject.replace('RUNNER', 'other'), concrete: toConcrete(subject, OTHER), account },
  ];
}

async function trySubscribing(bus: NatsConnection, tries: readonly Try[], watchers: Watchers): Promise<string[]> {
  const received = new Set<string>();
  for (const { concrete } of tries) {
    bus.subscribe(concrete, {
      callback: (error, message) => {
        if (error === null) received.add(new TextDecoder().decode(message.data));
      },
    });
  }
  await bus.flush();
  for (const { concrete, account } of tries.filter((one) => !CHANGES.test(one.concrete)))
    watchers.get(account).publish(concrete, `${SECRET}${concrete}`);
  await watchers.take();
  await bus.flush();
  return tries.filter(({ concrete }) => received.has(`${SECRET}${concrete}`)).map(({ shown }) => shown);
}

/** The subjects on which an answer arrived that this credential may not publish on itself. */
async function tryReplies(
  bus: NatsConnection,
  tries: readonly Try[],
  { publish }: Reach,
  watchers: Watchers,
): Promise<string[]> {
  const sources = tries.filter(({ shown }) => publish.includes(shown));
  const targets = tries.filter(({ shown }) => !publish.includes(shown));
  const arrived = new Set<string>();
  for (const source of sources) {
    for (const { concrete } of targets) bus.publish(source.concrete, BODY, { reply: concrete });
    // Answers come in order: after the one to this question, none is on its way. Some subjects never answer.
    await bus.request(source.concrete, BODY, { timeout: 1000 }).catch(() => undefined);
    for (const { account, subject, body } of await watchers.take()) {
      const target = targets.find((one) => one.concrete === subject && one.account === account);
      // A secret of the last round may still have been on its way from one account to another.
      if (target !== undefined && body !== '' && !body.startsWith(SECRET)) arrived.add(target.shown);
    }
  }
  return [...arrived];
}
