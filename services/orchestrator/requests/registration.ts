import { WorkflowUpdateFailedError, type Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Counter, Histogram, type Registry } from 'prom-client';
import { isMissing } from '../../../activities/lib/missing.ts';
import { REGISTER_RUNNER, runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import { parseRunnerFromSubject, wildcards } from '../../../contracts/messages/subjects.ts';
import { toGroupAccess } from '../../../contracts/config/health-settings.ts';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { Forge } from '../../../contracts/ports/forge.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import {
  registrationRequest,
  type RegistrationReply,
  type RegistrationRequest,
} from '../../../contracts/messages/registration.ts';
import { parseGroupFromRunnerName } from '../../../contracts/workflows/runner-name.ts';
import type { LiveConfig } from '../../shared/live-config.ts';
import type { RequestHandler } from '../../shared/request-server.ts';

export interface RegistrationHandlerOptions {
  client: Client;
  forge: Forge;
  live: LiveConfig;
  log: Logger;
  metrics: Registry;
}

/**
 * Registers a runner with the forge when its agent asks for it. The runner's workflow decides whether it may register; then the
 * forge is called, and its answer goes to the agent alone: never into a history, a stream, a log or a file.
 */
export function createRegistrationHandler(options: RegistrationHandlerOptions): RequestHandler<RegistrationRequest> {
  const { live, log } = options;
  const findRunner = (subject: string): { runner: string; group: string | undefined } => {
    const runner = parseRunnerFromSubject(subject) ?? '';
    return { runner, group: parseGroupFromRunnerName(live.current.name, runner) };
  };
  const observe = createMetrics(options.metrics);
  return {
    name: 'registration',
    subject: wildcards.register,
    queueGroup: 'registrar',
    schema: registrationRequest,
    handle: async (request, { subject }): Promise<RegistrationReply> => {
      const { runner, group } = findRunner(subject);
      // NATS lets a runner publish on its own subject only: the subject says who asks, and the body must agree.
      if (request.runner !== runner) {
        throw new BatonError(
          'MESSAGE_INVALID',
          `reading the registration request of ${runner}: it names another runner`,
        );
      }
      const jitConfig = await register(options, runner, group);
      log.info({ runner, group }, 'runner registered');
      return { ok: true, jitConfig };
    },
    logFields: findRunner,
    onError: toRefusal,
    observe: ({ subject, error, seconds }) => observe(findRunner(subject).group, error, seconds),
  };
}

/** The agent asks again where it is retryable. */
function toRefusal(error: unknown): Extract<RegistrationReply, { ok: false }> {
  const known = error instanceof BatonError ? error : undefined;
  const code = known?.code ?? 'FORGE_UNAVAILABLE';
  return { ok: false, code, message: getErrorMessage(error), retryable: known?.retryable ?? true };
}

function createMetrics(registry: Registry): (group: string | undefined, error: unknown, seconds: number) => void {
  const registers = [registry];
  const answers = new Counter({
    name: 'baton_registrations_total',
    help: 'Answers to registration requests',
    labelNames: ['group', 'result'],
    registers,
  });
  const duration = new Histogram({
    name: 'baton_registration_seconds',
    help: 'From a registration request to its answer',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  return (group, error, seconds) => {
    answers.inc({ group: group ?? 'unknown', result: error === undefined ? 'granted' : toRefusal(error).code });
    duration.observe(seconds);
  };
}

/** @throws BatonError RUNNER_UNKNOWN, REGISTRATION_REFUSED, BUS_UNAVAILABLE; FORGE_* */
async function register(
  { live, client, forge }: RegistrationHandlerOptions,
  runner: string,
  groupName: string | undefined,
): Promise<string> {
  const config = live.current;
  const group = config.groups.find((candidate) => candidate.name === groupName);
  if (group === undefined) {
    throw new BatonError(
      'RUNNER_UNKNOWN',
      `registering ${runner}: it belongs to no group of installation ${config.name}`,
    );
  }
  await askWorkflow(client, group.name, runner);
  const { jitConfig } = await forge.register({
    scope: { organization: group.organization, repository: group.repository },
    group: group.name,
    access: toGroupAccess(group),
    runner,
    labels: group.labels,
  });
  return jitConfig;
}

/**
 * Asks the runner's workflow whether the runner may register now. Resolves if so.
 *
 * @throws BatonError REGISTRATION_REFUSED by the workflow, RUNNER_UNKNOWN where there is none
 */
async function askWorkflow(client: Client, group: string, runner: string): Promise<void> {
  try {
    await client.workflow.getHandle(runnerWorkflowId(group, runner)).executeUpdate<void, []>(REGISTER_RUNNER);
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
}
