import { WorkflowUpdateFailedError, type Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { isMissing } from '../../../../activities/lib/missing.ts';
import { BatonError, getErrorMessage } from '../../../../contracts/errors.ts';
import { REGISTER_RUNNER, REGISTRATION_REFUSAL, runnerWorkflowId } from '../../../../contracts/workflows/runner.ts';

/** Asks a runner's workflow whether the runner may register now. Resolves if so. */
export interface RegistrationGate {
  /**
   * @param again the workflow has permitted it before: asking again adds nothing to its history
   * @throws BatonError REGISTRATION_REFUSED by the workflow, RUNNER_UNKNOWN where there is none, BUS_UNAVAILABLE
   */
  check(group: string, runner: string, again: boolean): Promise<void>;
}

export function createWorkflowGate(client: Client): RegistrationGate {
  return {
    check: async (group, runner, again) => {
      const workflow = client.workflow.getHandle(runnerWorkflowId(group, runner));
      let refusal: string | null = null;
      try {
        if (again) refusal = await workflow.query<string | null>(REGISTRATION_REFUSAL);
        else await workflow.executeUpdate<void, []>(REGISTER_RUNNER);
      } catch (error) {
        if (isMissing(error)) {
          throw new BatonError('RUNNER_UNKNOWN', `registering ${runner}: it has no open workflow`, { cause: error });
        }
        if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
          throw new BatonError('REGISTRATION_REFUSED', error.cause.message, { cause: error });
        }
        throw new BatonError('BUS_UNAVAILABLE', `asking the workflow of ${runner}: ${getErrorMessage(error)}`, {
          cause: error,
        });
      }
      if (refusal !== null) throw new BatonError('REGISTRATION_REFUSED', refusal);
    },
  };
}
