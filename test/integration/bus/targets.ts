import { z } from 'zod';
import type { Bus } from '../../../contracts/lib/nats.ts';
import { runnerInbox } from '../../../contracts/messages/subjects.ts';
import { ACCOUNT_NAMES, getAccountName, type AccountName } from '../../../deploy/nats/accounts.ts';
import { CREDENTIAL_NAMES, getAccess } from '../../../deploy/nats/permissions.ts';
import { covers } from '../../../deploy/nats/subject-sets.ts';

/** A subject that an attacker tries, and the account in which a message on it has an effect. */
export interface Target {
  /** With `RUNNER` for a runner's name. */
  subject: string;
  account: AccountName;
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
 * accounts of services, with the inboxes of all.
 *
 * @param streams a connection that may do everything in the account of the streams
 * @param accounts public keys by account
 */
export async function listTargets(
  streams: Bus,
  monitorUrl: string,
  accounts: Record<AccountName, string>,
): Promise<Target[]> {
  const found = new Map<string, Target>();
  const add = (subject: string, account: AccountName): void => {
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
    const subscriber = ACCOUNT_NAMES.find((candidate) => accounts[candidate] === account);
    if (subscriber === undefined || subscriber === 'streams' || /^(_R_|_INBOX|>$|\$)/.test(subject)) continue;
    // The server lists imports, too, as subscriptions of the account that has them.
    if (
      [...found.values()].some(
        (one) => one.account === 'streams' && covers(one.subject.replace('RUNNER', '*'), subject),
      )
    )
      continue;
    add(subject, findAnswerer(subject) ?? subscriber);
  }
  for (const credential of CREDENTIAL_NAMES) add(`${runnerInbox(credential)}.x`, getAccountName(credential));
  add(`${runnerInbox('RUNNER')}.x`, 'runners');
  return [...found.values()];
}

function findAnswerer(subject: string): AccountName | undefined {
  const name = CREDENTIAL_NAMES.find((one) => getAccess(one).answers.some((answered) => covers(answered, subject)));
  return name === undefined ? undefined : getAccountName(name);
}

/** Subjects of runners have the runner's name as their first wildcard. */
function name(subject: string): string {
  return subject.replace(/^(baton\.v1\.(?:signal|register|instance|created))\.\*/, '$1.RUNNER');
}

/** A subject as somebody would publish it. */
export function toConcrete(subject: string, runner: string): string {
  return subject.replace('RUNNER', runner).replaceAll('*', 'x').replace(/>$/, 'x');
}
