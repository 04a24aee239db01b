import type { Config } from '../../../contracts/config/config.ts';
import { toGroupAccess } from '../../../contracts/config/health-settings.ts';
import { messageOf } from '../../../contracts/errors.ts';
import type { Forge } from '../../../contracts/ports/forge.ts';
import type { Logger } from '../../../contracts/lib/log.ts';

/**
 * Brings every group on the forge to what the configuration says, when that has just been read; each health check does it
 * again. A forge that gives no answer holds nothing up.
 */
export async function reconcileRunnerGroups(forge: Forge, config: Config, log: Logger): Promise<void> {
  for (const group of config.groups) {
    const { name, organization, repository } = group;
    try {
      const order = { scope: { organization, repository }, group: name, access: toGroupAccess(group) };
      const changed = await forge.reconcileRunnerGroup(order);
      if (changed.length > 0) log.info({ group: name, changed }, 'the group on the forge was brought in step');
    } catch (error) {
      log.warn({ group: name, reason: messageOf(error) }, 'the group on the forge could not be looked at yet');
    }
  }
}
