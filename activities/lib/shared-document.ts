/**
 * A small value that several processes share, each of which can change it. What a process reads from it may be some
 * milliseconds old; a change is always made to the newest value.
 */
export interface SharedDocument<T> {
  /** As this process knows it now. */
  readonly current: T;

  /** When {@link current} was last known to be the newest, milliseconds since the epoch. */
  readonly readAt: number;

  /** Reads the newest value. Without the shared store nothing changes. */
  refresh(): Promise<void>;

  /**
   * Changes the newest value. `change` may be called several times, while others change it too: only the result of its last call
   * counts. Without the shared store the process goes on with its own value.
   *
   * @returns the changed value; undefined where others kept changing it: nothing was changed, try later
   */
  change(change: (value: T) => T): Promise<T | undefined>;
}
