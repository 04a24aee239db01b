import { WorkflowNotFoundError, WorkflowUpdateFailedError, type Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Counter, Histogram, type Registry } from 'prom-client';
import { REGISTER_RUNNER, runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import { decode, encode, type Bus, type Msg } from '../../../contracts/lib/nats.ts';
import { parseRunnerFromSubject, wildcards } from '../../../contracts/messages/subjects.ts';
import { toGroupAccess } from '../../../contracts/config/health-settings.ts';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import type { Forge } from '../../../contracts/ports/forge.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { registrationRequest, type RegistrationReply } from '../../../contracts/messages/registration.ts';
import { parseGroupFromRunnerName } from '../../../contracts/workflows/runner-name.ts';
import type { LiveConfig } from '../../shared/live-config.ts';

export interface RegistrarOptions {
  bus: Bus;
  client: Client;
  forge: Forge;
  live: LiveConfig;
  log: Logger;
  metrics: Registry;
}

/**
 * Answers agents that ask for their registration. The runner's workflow is the gate; the forge is called just then, and
 * its answer goes to the agent alone: never into a history, a stream, a log or a file.
 */
export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #answers: Counter;
  readonly #duration: Histogram;
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: RegistrarOptions) {
    this.#options = options;
    const registers = [options.metrics];
    this.#answers = new Counter({
      name: 'baton_registrations_total',
      help: 'Answers to registration requests',
      labelNames: ['group', 'result'],
      registers,
    });
    this.#duration = new Histogram({
      name: 'baton_registration_seconds',
      help: 'From a registration request to its answer',
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    });
  }

  /** Takes requests, shared with every other orchestrator, until `stop` fires; then finishes those in hand. */
  async run(stop: AbortSignal): Promise<void> {
    const subscription = this.#options.bus.subscribe(wildcards.register, { queue: 'registrar' });
    const drain = (): void => void subscription.drain();
    stop.addEventListener('abort', drain);
    if (stop.aborted) drain();
    for await (const message of subscription) {
      const work = this.#answer(message).finally(() => this.#underWay.delete(work));
      this.#underWay.add(work);
    }
    await Promise.all(this.#underWay);
  }

  async #answer(message: Msg): Promise<void> {
    try {
      message.respond(encode(await this.#reply(message.subject, message.data)));
    } catch (error) {
      this.#options.log.error({ err: error, subject: message.subject }, 'answering a registration request');
    }
  }

  async #reply(subject: string, data: Uint8Array): Promise<RegistrationReply> {
    const done = this.#duration.startTimer();
    const { log } = this.#options;
    const runner = parseRunnerFromSubject(subject) ?? '';
    const group = parseGroupFromRunnerName(this.#options.live.current.name, runner);
    try {
      const request = registrationRequest.safeParse(decode(data));
      // NATS lets a runner publish on its own subject only: the subject is who asks, the body must agree.
      if (!request.success || request.data.runner !== runner) {
        throw new BatonError('MESSAGE_INVALID', `reading the registration request of ${runner}`);
      }
      const jitConfig = await this.#register(runner, group);
      this.#answers.inc({ group, result: 'granted' });
      log.info({ runner, group }, 'registered');
      return { ok: true, jitConfig };
    } catch (error) {
      const known = error instanceof BatonError ? error : undefined;
      const code = known?.code ?? 'FORGE_UNAVAILABLE';
      this.#answers.inc({ group: group ?? 'unknown', result: code });
      log.warn({ runner, group, code, reason: messageOf(error) }, 'registration not granted');
      return { ok: false, code, message: messageOf(error), retryable: known?.retryable ?? true };
    } finally {
      done();
    }
  }

  async #register(runner: string, groupName: string | undefined): Promise<string> {
    const { live, client, forge } = this.#options;
    const config = live.current;
    const group = config.groups.find((candidate) => candidate.name === groupName);
    if (group === undefined) {
      throw new BatonError(
        'RUNNER_UNKNOWN',
        `registering ${runner}: it belongs to no group of installation ${config.name}`,
      );
    }
    await passGate(client, group.name, runner);
    const { jitConfig } = await forge.register({
      scope: { organization: group.organization, repository: group.repository },
      group: group.name,
      access: toGroupAccess(group),
      runner,
      labels: group.labels,
    });
    return jitConfig;
  }
}

/** @throws BatonError REGISTRATION_REFUSED by the runner's workflow, RUNNER_UNKNOWN where there is none */
async function passGate(client: Client, group: string, runner: string): Promise<void> {
  try {
    await client.workflow.getHandle(runnerWorkflowId(group, runner)).executeUpdate<void, []>(REGISTER_RUNNER);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      throw new BatonError('RUNNER_UNKNOWN', `registering ${runner}: its workflow is not open`, { cause: error });
    }
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
      throw new BatonError('REGISTRATION_REFUSED', error.cause.message, { cause: error });
    }
    throw new BatonError('BUS_UNAVAILABLE', `asking the workflow of ${runner}: ${messageOf(error)}`, { cause: error });
  }
}
