import { z } from 'zod';
import type { Bus } from '../../../contracts/lib/nats.ts';
import { runnerInbox } from '../../../contracts/messages/subjects.ts';
import { CREDENTIAL_NAMES } from '../../../deploy/nats/permissions.ts';

export const ACCOUNTS = ['streams', 'services', 'runners'] as const;
export type BusAccount = (typeof ACCOUNTS)[number];

/** A subject that an attacker tries, and the account in which a message on it has an effect. */
export interface Target {
  /** With `RUNNER` for a runner's name. */
  subject: string;
  account: BusAccount;
}

/** The runner whose credential an attacker has, and another one. */
export const OWN = 'demo-linux-aaaaaaaa';
export const OTHER = 'demo-linux-bbbbbbbb';

/** What JetStream's API offers for a stream, besides what is listed with its consumers. */
const STREAM_CALLS = [
  'STREAM.CREATE',
  'STREAM.UPDATE',
  'STREAM.DELETE',
  'STREAM.PURGE',
  'STREAM.INFO',
  'STREAM.SNAPSHOT',
  'STREAM.MSG.GET',
  'STREAM.MSG.DELETE',
  'DIRECT.GET',
  'CONSUMER.NAMES',
  'CONSUMER.LIST',
];
const CONSUMER_CALLS = ['CONSUMER.CREATE', 'CONSUMER.DURABLE.CREATE', 'CONSUMER.INFO', 'CONSUMER.DELETE'];

const subscriptions = z.object({
  subscriptions_list: z.array(z.object({ subject: z.string(), account: z.string().optional() })).optional(),
});

/**
 * Every subject of the server's own lists: those of its streams and of their API, and those that somebody subscribes to in the
 * accounts of services and runners, with the inboxes of all.
 *
 * @param streams a connection that may do everything in the account of the streams
 * @param accounts public keys by account
 */
export async function listTargets(
  streams: Bus,
  monitorUrl: string,
  accounts: Record<BusAccount, string>,
): Promise<Target[]> {
  const found = new Map<string, Target>();
  const add = (subject: string, account: BusAccount): void => {
    found.set(`${account} ${subject}`, { subject: name(subject), account });
  };
  const jetstreamManager = await streams.jetstreamManager();
  for (const call of ['INFO', 'STREAM.NAMES', 'STREAM.LIST', 'STREAM.CREATE.NEW', 'ACCOUNT.PURGE.x']) {
    add(`$JS.API.${call}`, 'streams');
  }
  for (const { config } of await jetstreamManager.streams.list().next()) {
    for (const subject of config.subjects) add(subject, 'streams');
    for (const call of STREAM_CALLS) add(`$JS.API.${call}.${config.name}`, 'streams');
    if (config.name.startsWith('KV_')) add(`$JS.API.DIRECT.GET.${config.name}.$KV.key`, 'streams');
    const consumers = await jetstreamManager.consumers.list(config.name).next();
    for (const consumer of [...consumers.map((info) => info.name), 'new']) {
      for (const call of CONSUMER_CALLS) add(`$JS.API.${call}.${config.name}.${consumer}`, 'streams');
      if (consumer === 'new') continue;
      add(`$JS.API.CONSUMER.MSG.NEXT.${config.name}.${consumer}`, 'streams');
      add(`$JS.ACK.${config.name}.${consumer}.1.1.1.1.1`, 'streams');
    }
  }
  const answer = await fetch(`${monitorUrl}/subsz?subs=1&limit=100000`);
  const listed = subscriptions.parse(await answer.json()).subscriptions_list ?? [];
  for (const { subject, account } of listed) {
    const owner = ACCOUNTS.find((candidate) => accounts[candidate] === account);
    if (owner === undefined || owner === 'streams' || /^(_R_|_INBOX|>$|\$)/.test(subject)) continue;
    // The server lists imports as subscriptions of the account that has them.
    if (owner === 'runners' || found.has(`streams ${subject}`)) continue;
    add(subject, owner);
  }
  for (const credential of CREDENTIAL_NAMES) {
    add(`${runnerInbox(credential)}.x`, credential === 'setup' ? 'streams' : 'services');
  }
  add(`${runnerInbox('RUNNER')}.x`, 'runners');
  return [...found.values()];
}

/** Subjects of runners have the runner's name as their first wildcard. */
function name(subject: string): string {
  return subject.replace(/^(baton\.v1\.(?:signal|register|instance|created))\.\*/, '$1.RUNNER');
}

/** A subject as somebody would publish it. */
export function toConcrete(subject: string, runner: string): string {
  return subject.replace('RUNNER', runner).replaceAll('*', 'x').replace(/>$/, 'x');
}
