import { z } from 'zod';
import type {
  CallOptions,
  ForgeGroup,
  GroupAccess,
  GroupReconciliation,
  LookOptions,
} from '../../../contracts/ports/forge.ts';
import { SharedAnswers } from '../../lib/shared-answers.ts';
import type { GithubClient } from './client.ts';
import { toGithubError, getGithubStatus, isRefusal } from './errors.ts';
import type { GroupOwnership } from './group-ownership.ts';
import { readPages } from './pages.ts';
import { compareSettings, runnerGroup, toRunnerGroupSettings, type ListedGroup } from './runner-group-access.ts';
import { reconcileRepositories, findRepositoryIds } from './runner-group-repositories.ts';

const groupList = z.object({ runner_groups: z.array(runnerGroup) });

/** For how long a registration relies on a list of the groups. */
const LIST_AGE_MS = 5 * 60_000;
const PATH = '/orgs/{org}/actions/runner-groups';

/**
 * An organisation's runner groups by name, in upper or lower case. All groups share one list. A missing group is created, at once
 * with its configured access. A group that Baton did not make is used only where the configuration adopts it, and is never given
 * more access than it has.
 *
 * @see https://docs.github.com/en/rest/actions/self-hosted-runner-groups
 */
export class RunnerGroups {
  readonly #client: GithubClient;
  readonly #ownership: GroupOwnership;
  readonly #lists = new SharedAnswers<ListedGroup[]>();
  /** Groups that are being created, by organisation and name. */
  readonly #creating = new Map<string, Promise<ListedGroup>>();

  constructor(client: GithubClient, ownership: GroupOwnership) {
    this.#client = client;
    this.#ownership = ownership;
  }

  /**
   * Makes a call with the group's id. Where GitHub has no group with that id any more (it was deleted, and perhaps made again),
   * the id is looked up again, once.
   *
   * @throws BatonError GROUP_NOT_ADOPTED, FORGE_* of the look-up; what `call` throws
   */
  async use<T>(
    { scope, group, access }: ForgeGroup,
    options: CallOptions,
    call: (id: number) => Promise<T>,
  ): Promise<T> {
    const { organization } = scope;
    const id = await this.#findId(organization, group, access, options);
    try {
      return await call(id);
    } catch (error) {
      if (getGithubStatus(error) !== 404) throw error;
      this.#forget(organization);
      const newId = await this.#findId(organization, group, access, options);
      if (newId === id) throw error;
      return await call(newId);
    }
  }

  /**
   * Sets the group's name, visibility, repositories and workflows to the configured values. Of a group that Baton did not make,
   * it changes only what takes access away, and nothing at all where the configuration does not adopt it.
   *
   * @throws BatonError GROUP_NOT_ADOPTED, FORGE_*
   */
  async reconcile(
    organization: string,
    name: string,
    access: GroupAccess,
    options: LookOptions = {},
  ): Promise<GroupReconciliation> {
    try {
      let found = await this.#find(organization, name, access, options);
      const isOurs = await this.#assertUsable(organization, found, name, access);
      if (found.inherited) return { changes: [], notes: [] };
      if (compareSettings(found, toRunnerGroupSettings(name, access)).length > 0) {
        // The list may be older than the last change.
        this.#forget(organization);
        found = await this.#find(organization, name, access, { signal: options.signal });
      }
      const { changes, left } = await this.#reconcileSettings(organization, found, name, access, isOurs);
      const notes: string[] = [];
      // The list of a group that is open to other repositories does not count.
      const isSelected = isOurs || found.visibility !== 'private';
      if (access.repositories !== undefined && isSelected) {
        const group = { org: organization, id: found.id, visibility: found.visibility };
        const done = await reconcileRepositories(this.#client, { group, names: access.repositories, isOurs }, options);
        changes.push(...done.changes);
        notes.push(...done.notes);
        left.push(...done.left);
      }
      if (left.length > 0) {
        notes.push(
          `exists on the forge with less access than configured, and Baton did not make it: ${left.join('; ')}. ` +
            'Give it more access there, or choose another name for the group',
        );
      }
      return { changes, notes };
    } catch (error) {
      throw toGithubError(`reconciling runner group ${name} of ${organization}`, error);
    }
  }

  async #findId(organization: string, name: string, access: GroupAccess, options: CallOptions): Promise<number> {
    try {
      const look = { signal: options.signal, notBefore: Date.now() - LIST_AGE_MS };
      const found = await this.#find(organization, name, access, look);
      await this.#assertUsable(organization, found, name, access);
      return found.id;
    } catch (error) {
      throw toGithubError(`looking for runner group ${name} of ${organization}`, error);
    }
  }

  async #reconcileSettings(
    org: string,
    found: ListedGroup,
    name: string,
    access: GroupAccess,
    isOurs: boolean,
  ): Promise<{ changes: string[]; left: string[] }> {
    const differences = compareSettings(found, toRunnerGroupSettings(name, access));
    const mayChange = ({ setting, widens }: (typeof differences)[number]): boolean =>
      isOurs || (!widens && setting !== 'name');
    const changed = differences.filter(mayChange);
    if (changed.length > 0) {
      const settings = Object.fromEntries(changed.map(({ setting, configured }) => [setting, configured]));
      // GitHub requires the name.
      await this.#client.request(`PATCH ${PATH}/{runner_group_id}`, {
        org,
        runner_group_id: found.id,
        name: found.name,
        ...settings,
      });
      this.#forget(org);
    }
    return {
      changes: changed.map(({ setting, configured }) => `reset ${setting} to ${JSON.stringify(configured)}`),
      left: differences
        .filter((difference) => difference.widens && !mayChange(difference))
        .map((one) => `${one.setting} is ${JSON.stringify(one.now)}, configured ${JSON.stringify(one.configured)}`),
    };
  }

  async #find(org: string, name: string, access: GroupAccess, options: LookOptions): Promise<ListedGroup> {
    const isWanted = (group: ListedGroup): boolean => group.name.toLowerCase() === name.toLowerCase();
    const known = (await this.#list(org, options)).find(isWanted);
    // Before a group is created, the list has to be new.
    const found = known ?? (await this.#list(org, { signal: options.signal })).find(isWanted);
    if (found !== undefined) return found;
    const key = `${org}/${name}`.toLowerCase();
    const creating = this.#creating.get(key) ?? this.#create(org, name, access);
    this.#creating.set(key, creating);
    try {
      return await creating;
    } finally {
      this.#creating.delete(key);
    }
  }

  async #create(org: string, name: string, access: GroupAccess): Promise<ListedGroup> {
    const settings = toRunnerGroupSettings(name, access);
    const { repositories } = access;
    const selected =
      repositories === undefined
        ? {}
        : { selected_repository_ids: [...(await findRepositoryIds(this.#client, org, repositories)).ids.values()] };
    const ownership = this.#ownership;
    const wasBegun = await ownership.beginCreation(org, name);
    try {
      const answer = await this.#client.request(`POST ${PATH}`, { org, ...settings, ...selected });
      const created = runnerGroup.parse(answer.data);
      await ownership.record(org, created.id);
      await ownership.endCreation(org, name);
      return created;
    } catch (error) {
      // Another orchestrator has created it meanwhile, or an earlier answer was lost.
      const isTaken = getGithubStatus(error) === 409 || getGithubStatus(error) === 422;
      const late = isTaken
        ? (await this.#list(org, {})).find((group) => group.name.toLowerCase() === name.toLowerCase())
        : undefined;
      // A moment ago there was none, and now there is one exactly as ordered: it is the lost answer's.
      if (late !== undefined && wasBegun && compareSettings(late, settings).length === 0) {
        await ownership.record(org, late.id);
      }
      // Without an answer, it may exist: the next look at the list knows it by what was ordered.
      if (isRefusal(error)) await ownership.endCreation(org, name);
      if (late === undefined) throw error;
      return late;
    } finally {
      this.#forget(org);
    }
  }

  /**
   * @returns whether Baton made the group
   * @throws BatonError GROUP_NOT_ADOPTED
   */
  async #assertUsable(org: string, found: ListedGroup, name: string, access: GroupAccess): Promise<boolean> {
    const isOwn = await this.#ownership.isOwn(org, found, toRunnerGroupSettings(name, access));
    this.#ownership.check(org, name, isOwn || access.adopt === true);
    return isOwn;
  }

  #forget(org: string): void {
    this.#lists.forget(org.toLowerCase());
  }

  async #list(org: string, options: LookOptions): Promise<ListedGroup[]> {
    return await this.#lists.get(org.toLowerCase(), options, async (signal) => {
      const groups: ListedGroup[] = [];
      for await (const page of readPages(this.#client, `GET ${PATH}`, { org }, signal)) {
        groups.push(...groupList.parse(page).runner_groups);
      }
      return groups;
    });
  }
}
