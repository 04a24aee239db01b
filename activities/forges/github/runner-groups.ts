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
import { toGithubError, getGithubStatus } from './errors.ts';
import type { MadeGroups } from './made-groups.ts';
import { readPages } from './pages.ts';
import { compareSettings, runnerGroup, toRunnerGroupSettings, type ListedGroup } from './runner-group-access.ts';
import { reconcileRepositories, findRepositoryIds } from './runner-group-repositories.ts';

const groupList = z.object({ runner_groups: z.array(runnerGroup) });

/** For how long a registration relies on a list of the groups. */
const LIST_AGE_MS = 5 * 60_000;
const PATH = '/orgs/{org}/actions/runner-groups';

/**
 * An organisation's runner groups by name. All groups share one list. A missing group is created, at once with its configured
 * access. A group that Baton did not make is never given more access than it has.
 *
 * @see https://docs.github.com/en/rest/actions/self-hosted-runner-groups
 */
export class RunnerGroups {
  readonly #client: GithubClient;
  readonly #made: MadeGroups;
  readonly #lists = new SharedAnswers<ListedGroup[]>();
  /** Groups that are being created, by organisation and name. */
  readonly #creating = new Map<string, Promise<ListedGroup>>();

  /** Ids of groups that were made here and are not recorded yet. */
  readonly #unrecorded = new Set<number>();

  constructor(client: GithubClient, made: MadeGroups) {
    this.#client = client;
    this.#made = made;
  }

  /**
   * Makes a call with the group's id. Where GitHub has no group with that id any more (it was deleted, and perhaps made again),
   * the id is looked up again, once.
   *
   * @throws BatonError FORGE_* of the look-up; what `call` throws
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
   * it changes only what takes access away.
   *
   * @throws BatonError FORGE_*
   */
  async reconcile(
    organization: string,
    name: string,
    access: GroupAccess,
    options: LookOptions = {},
  ): Promise<GroupReconciliation> {
    try {
      let found = await this.#find(organization, name, access, options);
      if (found.inherited) return { changes: [], notes: [] };
      if (compareSettings(found, toRunnerGroupSettings(name, access)).length > 0) {
        // The list may be older than the last change.
        this.#forget(organization);
        found = await this.#find(organization, name, access, { signal: options.signal });
      }
      const isOurs = await this.#isOurs(organization, found.id);
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
      return (await this.#find(organization, name, access, look)).id;
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
    try {
      const answer = await this.#client.request(`POST ${PATH}`, { org, ...settings, ...selected });
      const created = runnerGroup.parse(answer.data);
      await this.#recordMade(org, created.id);
      return created;
    } catch (error) {
      // Another orchestrator has created it meanwhile, or an earlier answer was lost.
      const isTaken = getGithubStatus(error) === 409 || getGithubStatus(error) === 422;
      const late = isTaken
        ? (await this.#list(org, {})).find((group) => group.name.toLowerCase() === name.toLowerCase())
        : undefined;
      if (late === undefined) throw error;
      // A moment ago there was none, and now there is one exactly as ordered: it is the lost answer's.
      if (compareSettings(late, settings).length === 0) await this.#recordMade(org, late.id);
      return late;
    } finally {
      this.#forget(org);
    }
  }

  async #isOurs(org: string, id: number): Promise<boolean> {
    if (this.#unrecorded.has(id)) await this.#recordMade(org, id);
    return await this.#made.has(org, id);
  }

  /** The group exists, whether it can be recorded now or not. */
  async #recordMade(org: string, id: number): Promise<void> {
    this.#unrecorded.add(id);
    try {
      await this.#made.add(org, id);
      this.#unrecorded.delete(id);
    } catch {
      // The next look at the group tries again.
    }
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
