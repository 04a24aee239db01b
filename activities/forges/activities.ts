import type { OrchestratorActivities } from '../../contracts/actors.ts';
import type { Forge } from '../../contracts/forge.ts';
import { withHeartbeats } from '../heartbeat.ts';

/** A forge's deeds for workflows. Registering is not among them: its answer is a secret (see the registrar). */
export function createForgeActivities(forge: Forge): Pick<OrchestratorActivities, 'removeRegistration'> {
  return {
    removeRegistration: ({ scope, runner }) => withHeartbeats(() => forge.deregister(scope, runner)),
  };
}
