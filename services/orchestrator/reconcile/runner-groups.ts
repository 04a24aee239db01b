import { Gauge, type Registry } from 'prom-client';
import type { Config } from '../../../contracts/config/config.ts';
import type { GroupConfig } from '../../../contracts/config/group.ts';
import { toGroupAccess } from '../../../contracts/config/health-settings.ts';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { Forge } from '../../../contracts/ports/forge.ts';
import type { Logger } from '../../../contracts/lib/log.ts';

/** Makes the runner groups on the forge match the configuration. */
export class RunnerGroupsReconciler {
  readonly #forge: Pick<Forge, 'reconcileRunnerGroup'>;
  readonly #log: Logger;
  readonly #refused: Gauge<'group'>;
  /** Groups that may not be used, and the message that was logged. */
  readonly #problems = new Map<string, string>();

  constructor(forge: Pick<Forge, 'reconcileRunnerGroup'>, log: Logger, metrics: Registry) {
    this.#forge = forge;
    this.#log = log;
    this.#refused = new Gauge({
      name: 'baton_runner_group_refused',
      help: '1 while a runner group of that name on the forge is not Baton’s and not adopted: no runner of the group starts',
      labelNames: ['group'],
      registers: [metrics],
    });
  }

  /** Errors are only logged: each health check does the same again, and {@link retryRefused} looks at refused groups. */
  async reconcile(config: Config): Promise<void> {
    const names = new Set(config.groups.map(({ name }) => name));
    for (const name of this.#problems.keys()) if (!names.has(name)) this.#forget(name);
    await this.#reconcileAll(config.groups);
  }

  /** Looks again at the groups that may not be used: someone may have removed or renamed the one on the forge. */
  async retryRefused(config: Config): Promise<void> {
    await this.#reconcileAll(config.groups.filter(({ name }) => this.#problems.has(name)));
  }

  async #reconcileAll(groups: readonly GroupConfig[]): Promise<void> {
    // One look serves all groups.
    const notBefore = Date.now();
    for (const group of groups) await this.#reconcileOne(group, notBefore);
  }

  async #reconcileOne(group: GroupConfig, notBefore: number): Promise<void> {
    const { name, organization, repository } = group;
    const log = this.#log;
    try {
      const wanted = { scope: { organization, repository }, group: name, access: toGroupAccess(group) };
      const { changes, notes } = await this.#forge.reconcileRunnerGroup(wanted, { notBefore });
      if (this.#problems.has(name)) log.info({ group: name }, 'runner group on the forge may be used now');
      this.#forget(name);
      if (changes.length > 0) log.info({ group: name, changes }, 'runner group on the forge updated');
      if (notes.length > 0) {
        log.warn({ group: name, notes }, 'runner group on the forge differs from the configuration');
      }
    } catch (error) {
      const reason = getErrorMessage(error);
      if (!(error instanceof BatonError && error.code === 'GROUP_NOT_ADOPTED')) {
        log.warn({ group: name, reason }, 'runner group on the forge not checked');
        return;
      }
      if (this.#problems.get(name) !== reason) {
        log.error({ group: name, code: error.code, reason, help: error.help }, 'runner group on the forge not adopted');
      }
      this.#problems.set(name, reason);
      this.#refused.set({ group: name }, 1);
    }
  }

  #forget(name: string): void {
    this.#problems.delete(name);
    this.#refused.remove({ group: name });
  }
}
