import { BatonError } from '../../../contracts/errors.ts';
import { toGroupKey, type MadeGroups } from './made-groups.ts';
import { compareSettings, type ListedGroup, type RunnerGroupSettings } from './runner-group-access.ts';

/**
 * Which runner groups are Baton's own: those that it made. Any other is used only where the configuration adopts it. One object
 * serves all clients of a process.
 */
export class GroupOwnership {
  readonly #made: MadeGroups;
  /** Own groups that were looked up before, by organisation and id: none stops being one. */
  readonly #own = new Set<string>();
  /** Groups that were made here and are not recorded yet. */
  readonly #unrecorded = new Set<string>();
  /** Why a group is not used, by organisation and name. */
  readonly #refusals = new Map<string, string>();

  constructor(made: MadeGroups) {
    this.#made = made;
  }

  /**
   * Whether Baton made that group.
   *
   * @param ordered as Baton would make it: where the answer to its creation was lost, it is known by that
   */
  async isOwn(organization: string, group: ListedGroup, ordered: RunnerGroupSettings): Promise<boolean> {
    const key = toGroupKey(organization, group.id);
    if (this.#unrecorded.has(key)) await this.record(organization, group.id);
    if (this.#own.has(key)) return true;
    if (await this.#made.has(organization, group.id)) {
      this.#own.add(key);
      return true;
    }
    const isAsOrdered = compareSettings(group, ordered).length === 0;
    if (!isAsOrdered || !(await this.#made.isBegun(organization, ordered.name))) return false;
    await this.record(organization, group.id);
    await this.#made.end(organization, ordered.name);
    return true;
  }

  /**
   * Notes whether a group may be used.
   *
   * @param isUsable Baton made it, or the configuration adopts it
   * @throws BatonError GROUP_NOT_ADOPTED where it may not
   */
  check(organization: string, name: string, isUsable: boolean): void {
    const key = toGroupKey(organization, name);
    if (isUsable) {
      this.#refusals.delete(key);
      return;
    }
    const problem = `runner group ${name} of ${organization} exists on the forge, and Baton did not make it`;
    this.#refusals.set(key, problem);
    throw new BatonError(
      'GROUP_NOT_ADOPTED',
      `${problem}: nothing there was changed, and its runners do not register. Set \`adopt: true\` for group ${name} to ` +
        'use it with the access that it has, or give the group another name',
      { details: { group: name, organization } },
    );
  }

  /** Why that group is not used, one clause for people; undefined where nothing is known against it. */
  findRefusal(organization: string, name: string): string | undefined {
    return this.#refusals.get(toGroupKey(organization, name));
  }

  /** The group exists, whether it can be recorded now or not. */
  async record(organization: string, id: number): Promise<void> {
    const key = toGroupKey(organization, id);
    this.#own.add(key);
    this.#unrecorded.add(key);
    try {
      await this.#made.add(organization, id);
      this.#unrecorded.delete(key);
    } catch {
      // The next look at the group tries again.
    }
  }

  /** See {@link MadeGroups.begin}. */
  async beginCreation(organization: string, name: string): Promise<boolean> {
    return await this.#made.begin(organization, name);
  }

  /** See {@link MadeGroups.end}. Where that cannot be written, a group exactly as ordered counts as Baton's later. */
  async endCreation(organization: string, name: string): Promise<void> {
    await this.#made.end(organization, name).catch(() => undefined);
  }
}
