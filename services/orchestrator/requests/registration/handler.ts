import { Counter, Histogram, type Registry } from 'prom-client';
import { parseRunnerFromSubject, wildcards } from '../../../../contracts/messages/subjects.ts';
import { toGroupAccess } from '../../../../contracts/config/health-settings.ts';
import { BatonError } from '../../../../contracts/errors.ts';
import type { Logger } from '../../../../contracts/lib/log.ts';
import {
  DEFAULT_REPLY_WAIT_MS,
  registrationRequest,
  type RegistrationReply,
  type RegistrationRequest,
} from '../../../../contracts/messages/registration.ts';
import { parseGroupFromRunnerName } from '../../../../contracts/workflows/runner-name.ts';
import type { LiveConfig } from '../../../shared/live-config.ts';
import type { RequestHandler } from '../../../shared/request-server.ts';
import { Registrar, type RegistrarOptions } from './registrar.ts';
import { createDelay, toRefusal } from './replies.ts';

/** Another orchestrator may have a newer configuration, or this one will soon. */
const UNKNOWN_GROUP_RETRY_MS = 10_000;

export interface RegistrationHandlerOptions extends RegistrarOptions {
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
  const registrar = new Registrar(options);
  const observe = createMetrics(options.metrics);
  return {
    name: 'registration',
    subject: wildcards.register,
    queueGroup: 'registrar',
    schema: registrationRequest,
    handle: async (request, { subject }): Promise<RegistrationReply> => {
      const { runner, group: groupName } = findRunner(subject);
      // NATS lets a runner publish on its own subject only: the subject says who asks, and the body must agree.
      if (request.runner !== runner) {
        throw new BatonError(
          'MESSAGE_INVALID',
          `reading the registration request of ${runner}: it names another runner`,
        );
      }
      const group = live.current.groups.find((candidate) => candidate.name === groupName);
      if (group === undefined) {
        const reason = `it belongs to no group of installation ${live.current.name}`;
        throw createDelay(runner, UNKNOWN_GROUP_RETRY_MS, reason);
      }
      const order = {
        scope: { organization: group.organization, repository: group.repository },
        group: group.name,
        access: toGroupAccess(group),
        runner,
        labels: group.labels,
      };
      const { attempt = -1, waitMs = DEFAULT_REPLY_WAIT_MS } = request;
      const jitConfig = await registrar.register({ order, attempt, waitMs });
      log.info({ runner, group: groupName }, 'runner registered');
      return { ok: true, jitConfig };
    },
    logFields: findRunner,
    onError: toRefusal,
    isExpected: (error) => error instanceof BatonError && error.code === 'REGISTRATION_DELAYED',
    observe: ({ subject, error, seconds }) => observe(findRunner(subject).group, error, seconds),
  };
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
