/**
 * Remembers which runner groups Baton has made on the forge: only these does it use without being asked to, and only these may it
 * give more access. A group is known by its id: one that was renamed stays Baton's, one that was deleted and made again is not.
 */
export interface MadeGroups {
  has(organization: string, id: number): Promise<boolean>;
  add(organization: string, id: number): Promise<void>;
  /**
   * Records that a group of that name is about to be made, so that it is known again where the forge's answer is lost.
   *
   * @returns whether that was recorded before: by another process, or for an answer that was lost
   */
  begin(organization: string, name: string): Promise<boolean>;
  /** Whether a group of that name may have been made without anybody knowing its id. */
  isBegun(organization: string, name: string): Promise<boolean>;
  /** The outcome of {@link begin} is known. */
  end(organization: string, name: string): Promise<void>;
}

/** Remembers for as long as the process runs. */
export class MadeGroupsInMemory implements MadeGroups {
  readonly #made = new Set<string>();
  readonly #begun = new Set<string>();

  has(organization: string, id: number): Promise<boolean> {
    return Promise.resolve(this.#made.has(toGroupKey(organization, id)));
  }

  add(organization: string, id: number): Promise<void> {
    this.#made.add(toGroupKey(organization, id));
    return Promise.resolve();
  }

  begin(organization: string, name: string): Promise<boolean> {
    const key = toGroupKey(organization, name);
    const before = this.#begun.has(key);
    this.#begun.add(key);
    return Promise.resolve(before);
  }

  isBegun(organization: string, name: string): Promise<boolean> {
    return Promise.resolve(this.#begun.has(toGroupKey(organization, name)));
  }

  end(organization: string, name: string): Promise<void> {
    this.#begun.delete(toGroupKey(organization, name));
    return Promise.resolve();
  }
}

/** A key of a runner group by its organisation and its id or name, which GitHub compares without case. */
export const toGroupKey = (organization: string, group: number | string): string =>
  `${organization}/${group}`.toLowerCase();
