export interface Lock {
  /** Lets the next process in. The end of the process does the same. */
  release(): void;
}

export interface LockOptions {
  /** How long to wait for the present holder, milliseconds; 0 doesn't wait. Default: forever. */
  waitMs?: number;
  /** Called once when another process holds the lock; `pid` where it is known. */
  onWait?: (pid: number | undefined) => void;
  /** A holder elsewhere that hasn't touched its file for so long is taken for dead, milliseconds. Default: 30,000. */
  staleMs?: number;
}

/**
 * Takes the lock that `file` stands for; undefined when `waitMs` has passed. A holder that was killed is noticed: at once on
 * this machine (its pid is gone), after `staleMs` elsewhere (its file is no longer touched).
 */
export function acquireLock(file: string, options: LockOptions & { waitMs: number }): Promise<Lock | undefined>;
export function acquireLock(file: string, options?: LockOptions & { waitMs?: undefined }): Promise<Lock>;
