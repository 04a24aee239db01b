import type { Config } from '../../../contracts/config/config.ts';
import { toGroupAccess } from '../../../contracts/config/health-settings.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Forge } from '../../../contracts/ports/forge.ts';
import type { Logger } from '../../../contracts/lib/log.ts';

/**
 * Makes the runner groups on the forge match the configuration. Errors are only logged: each health check does the same again.
 */
export async function reconcileRunnerGroups(forge: Forge, config: Config, log: Logger): Promise<void> {
  const notBefore = Date.now();
  for (const group of config.groups) {
    const { name, organization, repository } = group;
    try {
      const wanted = { scope: { organization, repository }, group: name, access: toGroupAccess(group) };
      // One look serves all groups.
      const { changes, notes } = await forge.reconcileRunnerGroup(wanted, { notBefore });
      if (changes.length > 0) log.info({ group: name, changes }, 'runner group on the forge updated');
      if (notes.length > 0)
        log.warn({ group: name, notes }, 'runner group on the forge differs from the configuration');
    } catch (error) {
      log.warn({ group: name, reason: getErrorMessage(error) }, 'runner group on the forge not checked');
    }
  }
}
