import { z } from 'zod';
import { BatonError } from '../../../contracts/errors.ts';
import type {
  CallOptions,
  DeregistrationResult,
  Forge,
  ForgeGroup,
  ForgeJob,
  ForgeRunner,
  ForgeScope,
  GroupReconciliation,
  LookOptions,
  QueuedJobs,
  QueueOrder,
  Redelivery,
  RedeliveryOrder,
  Registration,
  RegistrationOrder,
  RegistrationOutlook,
} from '../../../contracts/ports/forge.ts';
import { SharedAnswers } from '../../lib/shared-answers.ts';
import type { GithubClient } from './client.ts';
import { redeliver } from './deliveries.ts';
import { toGithubError, getRequestMethod, getGithubStatus } from './errors.ts';
import { GroupOwnership } from './group-ownership.ts';
import { findJob } from './jobs.ts';
import { MadeGroupsInMemory } from './made-groups.ts';
import { readPages } from './pages.ts';
import { toScopeName, toScopePath } from './paths.ts';
import { QueuedJobsLook } from './queued-jobs.ts';
import { RunnerGroups } from './runner-groups.ts';
import { findGithubRunner, runnerPage } from './runners.ts';

const jitAnswer = z.object({ runner: z.object({ id: z.number() }), encoded_jit_config: z.string().min(1) });

/** When to ask again for a runner that is online although its agent asks for its registration. */
const USED_RETRY_MS = 30_000;

/** For how long a group that may not be used holds back starts, until it is looked at again. */
const REFUSED_GROUP_WAIT_MS = 30_000;

/** A repository's runners always belong to the group "Default", whose id is 1. */
const REPOSITORY_GROUP = 1;

/** The limits of a client's calls, as far as registrations are concerned. */
export interface RegistrationLimits {
  getRegistrationOutlook(scope: ForgeScope): RegistrationOutlook;
}

/** GitHub, GHES and *.ghe.com. */
export class Github implements Forge {
  readonly type = 'github';
  readonly #client: GithubClient;
  readonly #groups: RunnerGroups;
  readonly #queued: QueuedJobsLook;
  readonly #runners = new SharedAnswers<ForgeRunner[]>();
  readonly #limits: RegistrationLimits | undefined;
  readonly #ownership: GroupOwnership;

  /**
   * @param limits the client's own; none: nothing is known of limits
   * @param ownership which runner groups Baton has made; default: those that this object makes
   */
  constructor(
    client: GithubClient,
    limits?: RegistrationLimits,
    ownership: GroupOwnership = new GroupOwnership(new MadeGroupsInMemory()),
  ) {
    this.#client = client;
    this.#limits = limits;
    this.#ownership = ownership;
    this.#groups = new RunnerGroups(client, ownership);
    this.#queued = new QueuedJobsLook(client);
  }

  /** @see https://docs.github.com/en/rest/actions/self-hosted-runners#create-configuration-for-a-just-in-time-runner-for-an-organization */
  async register(order: RegistrationOrder, options: CallOptions = {}): Promise<Registration> {
    const doing = `registering runner ${order.runner} in ${toScopeName(order.scope)}`;
    try {
      return await this.#generateJitConfig(order, options);
    } catch (error) {
      if (getGithubStatus(error) !== 409) throw toGithubError(doing, error);
    }
    // An earlier call's answer was lost: no other client uses names like this (with a random part).
    await this.#removeUnused(order, doing);
    try {
      return await this.#generateJitConfig(order, options);
    } catch (error) {
      throw toGithubError(doing, error);
    }
  }

  getRegistrationOutlook(scope: ForgeScope, group?: string): RegistrationOutlook {
    const unlimited = { perMinute: null, perFiveMinutes: null, waitMs: 0, blocked: null };
    const outlook = this.#limits?.getRegistrationOutlook(scope) ?? unlimited;
    if (group === undefined || scope.repository !== undefined) return outlook;
    const blocked = this.#ownership.findRefusal(scope.organization, group);
    return blocked === undefined ? outlook : { ...outlook, blocked, waitMs: REFUSED_GROUP_WAIT_MS };
  }

  /**
   * Finds the runner by name, not by an id stored at registration: a lost id would leave a registration behind.
   *
   * @see https://docs.github.com/en/rest/actions/self-hosted-runners#delete-a-self-hosted-runner-from-an-organization
   */
  async deregister(scope: ForgeScope, runner: string): Promise<DeregistrationResult> {
    const doing = `removing the registration of runner ${runner} from ${toScopeName(scope)}`;
    try {
      const match = await findGithubRunner(this.#client, scope, runner);
      if (match === undefined) return 'absent';
      if (match.busy) return 'busy';
      await this.#client.request(`DELETE ${toScopePath(scope)}/actions/runners/{runner_id}`, { runner_id: match.id });
      return 'removed';
    } catch (error) {
      // Only the answer to the deletion speaks of the runner: a 404 to the search, for instance, is a missing permission.
      const status = getRequestMethod(error) === 'DELETE' ? getGithubStatus(error) : undefined;
      if (status === 422) return 'busy';
      if (status === 404) return 'absent';
      throw toGithubError(doing, error);
    }
  }

  async findRegistration(
    scope: ForgeScope,
    runner: string,
    options: CallOptions = {},
  ): Promise<ForgeRunner | undefined> {
    try {
      const found = await findGithubRunner(this.#client, scope, runner, options);
      return found && { name: found.name, busy: found.busy };
    } catch (error) {
      throw toGithubError(`looking for the registration of runner ${runner} in ${toScopeName(scope)}`, error);
    }
  }

  /** @see https://docs.github.com/en/rest/actions/self-hosted-runners#list-self-hosted-runners-for-an-organization */
  async listRegistrations(scope: ForgeScope, options: LookOptions = {}): Promise<ForgeRunner[]> {
    const name = toScopeName(scope);
    try {
      return await this.#runners.get(name.toLowerCase(), options, async (signal) => {
        const runners: ForgeRunner[] = [];
        for await (const page of readPages(this.#client, `GET ${toScopePath(scope)}/actions/runners`, {}, signal)) {
          runners.push(...runnerPage.parse(page).runners.map((runner) => ({ name: runner.name, busy: runner.busy })));
        }
        return runners;
      });
    } catch (error) {
      throw toGithubError(`listing the runners of ${name}`, error);
    }
  }

  async reconcileRunnerGroup(
    { scope, group, access }: ForgeGroup,
    options: LookOptions = {},
  ): Promise<GroupReconciliation> {
    if (scope.repository) return { changes: [], notes: [] };
    return await this.#groups.reconcile(scope.organization, group, access, options);
  }

  async getJob(repository: string, id: number, options: CallOptions = {}): Promise<ForgeJob | undefined> {
    return await findJob(this.#client, repository, id, options);
  }

  async listQueuedJobs(order: QueueOrder, options: LookOptions = {}): Promise<QueuedJobs> {
    return await this.#queued.list(order, options);
  }

  async redeliver(order: RedeliveryOrder, options: CallOptions = {}): Promise<Redelivery> {
    return await redeliver(this.#client, order, options);
  }

  /**
   * Removes a registration that nobody uses. One whose runner is online or busy is in use, whatever was lost: it stays.
   *
   * @throws BatonError REGISTRATION_DELAYED for one in use, FORGE_*
   */
  async #removeUnused({ scope, runner }: RegistrationOrder, doing: string): Promise<void> {
    let used = false;
    try {
      const match = await findGithubRunner(this.#client, scope, runner);
      if (match === undefined) return;
      used = match.busy || match.status !== 'offline';
      if (!used) {
        await this.#client.request(`DELETE ${toScopePath(scope)}/actions/runners/{runner_id}`, { runner_id: match.id });
      }
    } catch (error) {
      const status = getRequestMethod(error) === 'DELETE' ? getGithubStatus(error) : undefined;
      if (status === 404) return;
      if (status !== 422) throw toGithubError(doing, error);
      used = true;
    }
    if (used) {
      throw new BatonError(
        'REGISTRATION_DELAYED',
        `${doing}: its name is registered already, and that runner is online`,
        {
          details: { retryAfterMs: USED_RETRY_MS },
        },
      );
    }
  }

  async #generateJitConfig(order: RegistrationOrder, options: CallOptions): Promise<Registration> {
    const generate = (groupId: number): Promise<Registration> => this.#generateFor(order, groupId, options);
    return order.scope.repository ? await generate(REPOSITORY_GROUP) : await this.#groups.use(order, options, generate);
  }

  async #generateFor(order: RegistrationOrder, groupId: number, { signal }: CallOptions): Promise<Registration> {
    const answer = await this.#client.request(`POST ${toScopePath(order.scope)}/actions/runners/generate-jitconfig`, {
      name: order.runner,
      runner_group_id: groupId,
      labels: [...new Set(['self-hosted', ...order.labels])].slice(0, 100),
      request: { signal },
    });
    const { runner, encoded_jit_config } = jitAnswer.parse(answer.data);
    return { runnerId: runner.id, jitConfig: encoded_jit_config };
  }
}
