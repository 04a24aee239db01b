import type { Config } from '../../../contracts/config/config.ts';
import { toGroupAccess } from '../../../contracts/config/health-settings.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Forge } from '../../../contracts/ports/forge.ts';
import type { Logger } from '../../../contracts/lib/log.ts';

/**
 * Makes the runner groups on the forge match the configuration. Errors are only logged: each health check does the same again.
 */
export async function reconcileRunnerGroups(forge: Forge, config: Config, log: Logger): Promise<void> {
  for (const group of config.groups) {
    const { name, organization, repository } = group;
    try {
      const wanted = { scope: { organization, repository }, group: name, access: toGroupAccess(group) };
      const changed = await forge.reconcileRunnerGroup(wanted);
      if (changed.length > 0) log.info({ group: name, changed }, 'runner group on the forge updated');
    } catch (error) {
      log.warn({ group: name, reason: getErrorMessage(error) }, 'runner group on the forge not checked');
    }
  }
}
