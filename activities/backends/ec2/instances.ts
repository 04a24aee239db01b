import {
  DescribeInstancesCommand,
  type DescribeInstancesCommandInput,
  type Filter,
  type Instance as Machine,
} from '@aws-sdk/client-ec2';
import { BatonError } from '../../../contracts/errors.ts';
import type { Instance } from '../../../contracts/ports/backend.ts';
import { rejectOnAbort } from '../../lib/abort.ts';
import { callEc2, type Ec2Clients } from './client.ts';
import { TAGS } from './request.ts';

/** EC2's limit for the values of one filter. */
const MAX_FILTER_VALUES = 200;

/** An instance with EC2's own fields. */
export interface Ec2Instance extends Instance {
  installation: string;
  hash: string;
  token: string;
  /** EC2's name of its state: pending, running, shutting-down, terminated, stopping, stopped. */
  stateName: string;
  /** Baton has terminated it, or is about to. */
  removed: boolean;
}

/** Finds instances. Look-ups made at the same time share one call. */
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

  /** All instances of this installation, all pages; terminated ones for as long as EC2 lists them (about an hour). */
  list(abort: AbortSignal): Promise<Ec2Instance[]> {
    return this.#describe('listing instances', [toTagFilter(TAGS.installation, [this.#installation])], abort);
  }

  /** All instances of a runner, oldest first: one, unless two processes created it at the same time. */
  async listForRunner(runner: string, abort: AbortSignal): Promise<Ec2Instance[]> {
    abort.throwIfAborted();
    if (this.#batch === undefined || this.#batch.runners.size === MAX_FILTER_VALUES) {
      const runners = new Set<string>();
      // One call serves all who ask within a few milliseconds, so none of them may abort it.
      const answer = Promise.resolve().then(() => this.#describeBatch(runners));
      this.#batch = { runners, answer };
    }
    const { runners, answer } = this.#batch;
    runners.add(runner);
    const found = await Promise.race([answer, rejectOnAbort(abort)]);
    return found.filter((instance) => instance.runner === runner).toSorted(compareAge);
  }

  /** The instance; undefined when EC2 answers that there is none, which it may also do for a very new one. */
  async findById(id: string, abort: AbortSignal): Promise<Ec2Instance | undefined> {
    return (await this.#describe(`looking up ${id}`, [{ Name: 'instance-id', Values: [id] }], abort))[0];
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
      // Without them it is no answer of EC2, which the library reads as an empty one: a proxy's page with status 200.
      if (page.Reservations === undefined) {
        throw new BatonError('BACKEND_UNAVAILABLE', `${doing}: the answer does not have its documented shape`);
      }
      found.push(...page.Reservations.flatMap(({ Instances: machines }) => (machines ?? []).map(toEc2Instance)));
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

/** Converts EC2's description of a machine. */
export function toEc2Instance(machine: Machine): Ec2Instance {
  const tag = (key: string): string => machine.Tags?.find(({ Key }) => Key === key)?.Value ?? '';
  const stateName = machine.State?.Name ?? 'pending';
  const alive = stateName === 'pending' || stateName === 'running';
  return {
    id: machine.InstanceId ?? '',
    runner: tag(TAGS.runner),
    group: tag(TAGS.group),
    state: alive ? 'running' : 'dead',
    createdAt: (machine.LaunchTime ?? new Date()).toISOString(),
    machine: machine.InstanceType,
    market: machine.InstanceLifecycle === 'spot' ? 'spot' : 'on-demand',
    ...(alive ? {} : { exitCode: null, reason: toReason(machine, stateName) }),
    installation: tag(TAGS.installation),
    hash: tag(TAGS.spec),
    token: machine.ClientToken ?? '',
    stateName,
    removed: tag(TAGS.removed) !== '',
  };
}

/** Why it is dead, as one clause. */
function toReason({ StateReason: why, StateTransitionReason: text }: Machine, stateName: string): string {
  switch (why?.Code) {
    case 'Server.SpotInstanceTermination':
      return 'Amazon took the spot instance back';
    case 'Client.InstanceInitiatedShutdown':
      return 'it powered itself off';
    case 'Client.UserInitiatedShutdown':
    case 'User.Initiated':
      return 'it was terminated from outside Baton';
    default:
      return `is ${stateName}${why?.Message || text ? `: ${why?.Message ?? text}` : ''}`.slice(0, 300);
  }
}

/** The instance without EC2's own fields. */
export function toPlainInstance(found: Ec2Instance): Instance {
  const { id, runner, group, state, createdAt, machine, market, exitCode, reason } = found;
  const dead = state === 'dead' ? { exitCode, reason } : {};
  return { id, runner, group, state, createdAt, machine, market, ...dead };
}
