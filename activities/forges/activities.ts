import type { ForgeActivities } from '../../contracts/ports/forge-activities.ts';
import type { Forge } from '../../contracts/ports/forge.ts';
import { withHeartbeats } from '../lib/heartbeat.ts';

/** A forge's activities. Registering is not one of them: its result is a secret, which must not be in a history. */
export function createForgeActivities(forge: Forge): Pick<ForgeActivities, 'removeRegistration'> {
  return {
    removeRegistration: ({ scope, runner }) => withHeartbeats(() => forge.deregister(scope, runner)),
  };
}
