import type { OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import type { Forge } from '../../contracts/ports/forge.ts';
import { withHeartbeats } from '../lib/heartbeat.ts';

/** A forge's deeds for workflows. Registering is not among them: its answer is a secret (see the registrar). */
export function createForgeActivities(forge: Forge): Pick<OrchestratorActivities, 'removeRegistration'> {
  return {
    removeRegistration: ({ scope, runner }) => withHeartbeats(() => forge.deregister(scope, runner)),
  };
}
