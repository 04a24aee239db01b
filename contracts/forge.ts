/** Whose runners they are: an organisation's group, or one repository. */
export interface ForgeScope {
  organization: string;
  repository?: string | undefined;
}

export interface RegistrationOrder {
  scope: ForgeScope;
  /** The group, by name, on the forge (organisations only). */
  group: string;
  runner: string;
  labels: string[];
}

/** Holds a secret (`jitConfig`); never returned from an activity, never logged. */
export interface Registration {
  runnerId: number;
  jitConfig: string;
}

/**
 * - `removed`: it was there and now is not
 * - `absent`: the forge answered that there is none of that name
 * - `busy`: the forge says it runs a job; nothing was removed
 */
export type DeregistrationResult = 'removed' | 'absent' | 'busy';

/** What Baton asks of a forge. Every method throws BatonErrors FORGE_*; an error is never an answer. */
export interface Forge {
  readonly type: string;

  /** Makes a single-job registration; one of the same name left by a lost answer is replaced. */
  register(order: RegistrationOrder): Promise<Registration>;

  /** Removes the registration of that name unless it is busy. */
  deregister(scope: ForgeScope, runner: string): Promise<DeregistrationResult>;
}
