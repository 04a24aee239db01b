import {
  DescribeInstancesCommand,
  type DescribeInstancesCommandInput,
  type Filter,
  type Instance as Machine,
} from '@aws-sdk/client-ec2';
import type { Instance } from '../../../contracts/ports/backend.ts';
import { rejectOnAbort } from '../../lib/abort.ts';
import { ask, type Ec2Clients } from './client.ts';
import { TAGS } from './request.ts';

/** As many values as a filter takes. */
const VALUES = 200;

/** An instance, and what only EC2 says of it. */
export interface Found extends Instance {
  installation: string;
  hash: string;
  token: string;
  /** EC2's own word: pending, running, shutting-down, terminated, stopping, stopped. */
  word: string;
  /** We ended it, or are about to. */
  removed: boolean;
}

/** Looks for instances; what is looked for at the same time is asked for together. */
export class Instances {
  readonly #clients: Ec2Clients;
  readonly #installation: string;
  readonly #pageSize: number;
  #waiting: { runners: Set<string>; answer: Promise<Found[]> } | undefined;

  /** @param pageSize at most 1,000 */
  constructor(clients: Ec2Clients, installation: string, pageSize: number) {
    this.#clients = clients;
    this.#installation = installation;
    this.#pageSize = pageSize;
  }

  /** All of this installation's, all pages; terminated ones for as long as EC2 shows them (about an hour). */
  all(abort: AbortSignal): Promise<Found[]> {
    return this.#look('listing instances', [filter(TAGS.installation, [this.#installation])], abort);
  }

  /** All of a runner's: one, unless two processes made it at the same time. Oldest first. */
  async of(runner: string, abort: AbortSignal): Promise<Found[]> {
    abort.throwIfAborted();
    if (this.#waiting === undefined || this.#waiting.runners.size === VALUES) {
      const runners = new Set<string>();
      // What is asked for meanwhile comes along. One call serves many, so no single one may end it.
      const answer = Promise.resolve().then(() => this.#together(runners));
      this.#waiting = { runners, answer };
    }
    const { runners, answer } = this.#waiting;
    runners.add(runner);
    const found = await Promise.race([answer, rejectOnAbort(abort)]);
    return found.filter((instance) => instance.runner === runner).toSorted(byAge);
  }

  /** That instance; undefined when EC2 answers that it knows none (which a very young one may have to hear as well). */
  async byId(id: string, abort: AbortSignal): Promise<Found | undefined> {
    return (await this.#look(`looking at ${id}`, [{ Name: 'instance-id', Values: [id] }], abort))[0];
  }

  async #together(runners: Set<string>): Promise<Found[]> {
    await new Promise((resolve) => setTimeout(resolve, 5));
    this.#waiting = undefined;
    const names = [...runners];
    const doing = names.length === 1 ? `looking for ${names[0]}` : `looking for ${names.length} instances`;
    const filters = [filter(TAGS.installation, [this.#installation]), filter(TAGS.runner, names)];
    return this.#look(doing, filters, new AbortController().signal);
  }

  async #look(doing: string, filters: Filter[], abort: AbortSignal): Promise<Found[]> {
    const found: Found[] = [];
    const input: DescribeInstancesCommandInput = { Filters: filters, MaxResults: this.#pageSize };
    for (let token: string | undefined; ;) {
      const command = new DescribeInstancesCommand({ ...input, ...(token && { NextToken: token }) });
      const page = await ask(doing, abort, (options) => this.#clients.ec2.send(command, options));
      found.push(...(page.Reservations ?? []).flatMap(({ Instances: machines }) => (machines ?? []).map(toFound)));
      token = page.NextToken;
      if (!token) return found;
    }
  }
}

function filter(tag: string, values: string[]): Filter {
  return { Name: `tag:${tag}`, Values: values };
}

function byAge(a: Found, b: Found): number {
  return a.createdAt.localeCompare(b.createdAt) || a.id.localeCompare(b.id);
}

/** A machine as EC2 describes it. */
export function toFound(machine: Machine): Found {
  const tag = (key: string): string => machine.Tags?.find(({ Key }) => Key === key)?.Value ?? '';
  const word = machine.State?.Name ?? 'pending';
  const alive = word === 'pending' || word === 'running';
  return {
    id: machine.InstanceId ?? '',
    runner: tag(TAGS.runner),
    group: tag(TAGS.group),
    state: alive ? 'running' : 'dead',
    createdAt: (machine.LaunchTime ?? new Date()).toISOString(),
    machine: machine.InstanceType,
    market: machine.InstanceLifecycle === 'spot' ? 'spot' : 'on-demand',
    ...(alive ? {} : { exitCode: null, reason: reasonOf(machine, word) }),
    installation: tag(TAGS.installation),
    hash: tag(TAGS.spec),
    token: machine.ClientToken ?? '',
    word,
    removed: tag(TAGS.removed) !== '',
  };
}

/** Why it is dead, one clause for a person. */
function reasonOf({ StateReason: why, StateTransitionReason: text }: Machine, word: string): string {
  switch (why?.Code) {
    case 'Server.SpotInstanceTermination':
      return 'Amazon took the spot instance back';
    case 'Client.InstanceInitiatedShutdown':
      return 'it powered itself off';
    case 'Client.UserInitiatedShutdown':
    case 'User.Initiated':
      return 'somebody terminated it';
    default:
      return `is ${word}${why?.Message || text ? `: ${why?.Message ?? text}` : ''}`.slice(0, 300);
  }
}

/** An instance without what only EC2 says of it. */
export function plain(found: Found): Instance {
  const { id, runner, group, state, createdAt, machine, market, exitCode, reason } = found;
  const dead = state === 'dead' ? { exitCode, reason } : {};
  return { id, runner, group, state, createdAt, machine, market, ...dead };
}
