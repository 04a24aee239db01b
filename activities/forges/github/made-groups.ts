/** Remembers which runner groups Baton has made on the forge: only these may it give more access. */
export interface MadeGroups {
  has(organization: string, id: number): Promise<boolean>;
  add(organization: string, id: number): Promise<void>;
}

/** Remembers for as long as the process runs. */
export class MadeGroupsInMemory implements MadeGroups {
  readonly #made = new Set<string>();

  has(organization: string, id: number): Promise<boolean> {
    return Promise.resolve(this.#made.has(toKey(organization, id)));
  }

  add(organization: string, id: number): Promise<void> {
    this.#made.add(toKey(organization, id));
    return Promise.resolve();
  }
}

const toKey = (organization: string, id: number): string => `${organization.toLowerCase()}/${id}`;
