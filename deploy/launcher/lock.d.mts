export interface Lock {
  /** Lets the next one in. The end of the process does it too. */
  release(): void;
}

export interface LockOptions {
  /** How long to wait for its present holder, milliseconds; 0 doesn't wait. Default: for ever. */
  waitMs?: number;
  /** Called once when another has it; `pid` where its holder is known. */
  onWait?: (pid: number | undefined) => void;
}

/**
 * Takes the lock that `file` stands for; undefined when `waitMs` passed. A holder that was killed is noticed: at once on
 * this machine (its pid is gone), after 30 s elsewhere (its file is no longer touched).
 */
export function acquireLock(file: string, options: LockOptions & { waitMs: number }): Promise<Lock | undefined>;
export function acquireLock(file: string, options?: LockOptions & { waitMs?: undefined }): Promise<Lock>;
