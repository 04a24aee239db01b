import {
  DescribeInstancesCommand,
  type DescribeInstancesCommandInput,
  type Filter,
  type Instance as Machine,
} from '@aws-sdk/client-ec2';
import type { Instance } from '../../../contracts/ports/backend.ts';
import { rejectOnAbort } from '../../lib/abort.ts';
import { callEc2, type Ec2Clients } from './client.ts';
import { TAGS } from './request.ts';

/** As many values as a filter takes. */
const MAX_FILTER_VALUES = 200;

/** An instance, and what only EC2 says of it. */
export interface Ec2Instance extends Instance {
  installation: string;
  hash: string;
  token: string;
  /** EC2's own word: pending, running, shutting-down, terminated, stopping, stopped. */
  stateName: string;
  /** We ended it, or are about to. */
  removed: boolean;
}

/** Looks for instances; what is looked for at the same time is asked for together. */
export class Ec2Instances {
  readonly #clients: Ec2Clients;
  readonly #installation: string;
  readonly #pageSize: number;
  #batch: { runners: Set<string>; answer: Promise<Ec2Instance[]> } | undefined;

  /** @param pageSize at most 1,000 */
  constructor(clients: Ec2Clients, installation: string, pageSize: number) {
    this.#clients = clients;
    this.#installation = installation;
    this.#pageSize = pageSize;
  }

  /** All of this installation's, all pages; terminated ones for as long as EC2 shows them (about an hour). */
  list(abort: AbortSignal): Promise<Ec2Instance[]> {
    return this.#describe('listing instances', [toTagFilter(TAGS.installation, [this.#installation])], abort);
  }

  /** All of a runner's: one, unless two processes made it at the same time. Oldest first. */
  async listForRunner(runner: string, abort: AbortSignal): Promise<Ec2Instance[]> {
    abort.throwIfAborted();
    if (this.#batch === undefined || this.#batch.runners.size === MAX_FILTER_VALUES) {
      const runners = new Set<string>();
      // What is asked for meanwhile comes along. One call serves many, so no single one may end it.
      const answer = Promise.resolve().then(() => this.#describeBatch(runners));
      this.#batch = { runners, answer };
    }
    const { runners, answer } = this.#batch;
    runners.add(runner);
    const found = await Promise.race([answer, rejectOnAbort(abort)]);
    return found.filter((instance) => instance.runner === runner).toSorted(compareAge);
  }

  /** That instance; undefined when EC2 answers that it knows none (which a very young one may have to hear as well). */
  async findById(id: string, abort: AbortSignal): Promise<Ec2Instance | undefined> {
    return (await this.#describe(`looking at ${id}`, [{ Name: 'instance-id', Values: [id] }], abort))[0];
  }

  async #describeBatch(runners: Set<string>): Promise<Ec2Instance[]> {
    await new Promise((resolve) => setTimeout(resolve, 5));
    this.#batch = undefined;
    const names = [...runners];
    const doing = names.length === 1 ? `looking for ${names[0]}` : `looking for ${names.length} instances`;
    const filters = [toTagFilter(TAGS.installation, [this.#installation]), toTagFilter(TAGS.runner, names)];
    return this.#describe(doing, filters, new AbortController().signal);
  }

  async #describe(doing: string, filters: Filter[], abort: AbortSignal): Promise<Ec2Instance[]> {
    const found: Ec2Instance[] = [];
    const input: DescribeInstancesCommandInput = { Filters: filters, MaxResults: this.#pageSize };
    for (let token: string | undefined; ;) {
      const command = new DescribeInstancesCommand({ ...input, ...(token && { NextToken: token }) });
      const page = await callEc2(doing, abort, (options) => this.#clients.ec2.send(command, options));
      found.push(
        ...(page.Reservations ?? []).flatMap(({ Instances: machines }) => (machines ?? []).map(toEc2Instance)),
      );
      token = page.NextToken;
      if (!token) return found;
    }
  }
}

function toTagFilter(tag: string, values: string[]): Filter {
  return { Name: `tag:${tag}`, Values: values };
}

function compareAge(a: Ec2Instance, b: Ec2Instance): number {
  return a.createdAt.localeCompare(b.createdAt) || a.id.localeCompare(b.id);
}

/** A machine as EC2 describes it. */
export function toEc2Instance(machine: Machine): Ec2Instance {
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
    ...(alive ? {} : { exitCode: null, reason: toReason(machine, word) }),
    installation: tag(TAGS.installation),
    hash: tag(TAGS.spec),
    token: machine.ClientToken ?? '',
    stateName: word,
    removed: tag(TAGS.removed) !== '',
  };
}

/** Why it is dead, one clause for a person. */
function toReason({ StateReason: why, StateTransitionReason: text }: Machine, word: string): string {
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
export function toPlainInstance(found: Ec2Instance): Instance {
  const { id, runner, group, state, createdAt, machine, market, exitCode, reason } = found;
  const dead = state === 'dead' ? { exitCode, reason } : {};
  return { id, runner, group, state, createdAt, machine, market, ...dead };
}
