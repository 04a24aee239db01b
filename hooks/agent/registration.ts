import { decode, encode, type Bus } from '../../contracts/lib/nats.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import { BatonError, messageOf } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { registrationReply, type RegistrationRequest } from '../../contracts/messages/registration.ts';
import { fired } from '../action-runners/manager/timer.ts';
import { backoff } from '../../contracts/lib/backoff.ts';
import { NATS_CODE, natsCode } from './nats-code.ts';

/** How long one request may take, milliseconds: the registrar asks the forge while we wait. */
const REQUEST_TIMEOUT_MS = 30_000;

export interface RegistrationOptions {
  runner: string;
  agentVersion: string;
  /** Give up after this, milliseconds. */
  timeoutMs: number;
  abort: AbortSignal;
  log: Logger;
}

/**
 * Asks the registrar for this runner's registration, again and again while it says so or doesn't answer.
 *
 * @returns the JIT config: a secret
 * @throws BatonError REGISTRATION_REFUSED (a final no), BUS_DENIED (the credential may not ask), BUS_UNAVAILABLE (bound
 *   over); the signal's reason when `abort` fires
 */
export async function requestRegistration(bus: Bus, options: RegistrationOptions): Promise<string> {
  const { runner, agentVersion, timeoutMs, abort, log } = options;
  const request: RegistrationRequest = { version: 1, runner, agentVersion };
  const deadline = Date.now() + timeoutMs;
  for (let attempt = 0; ; attempt++) {
    abort.throwIfAborted();
    const problem = await Promise.race([ask(bus, runner, request), fired(abort)]);
    if (problem === undefined) continue;
    if ('jitConfig' in problem) return problem.jitConfig;
    log.warn({ attempt, code: problem.code }, `registration: ${problem.message}`);
    if (!problem.retryable) throw new BatonError(problem.final, `registering ${runner}: ${problem.message}`);
    if (Date.now() >= deadline) {
      throw new BatonError('BUS_UNAVAILABLE', `registering ${runner}: no registration in time; ${problem.message}`);
    }
    await backoff(attempt, { firstMs: 250, maxMs: 10_000, abort });
  }
}

type Answer =
  | { jitConfig: string }
  | { retryable: boolean; code: string; message: string; final: 'REGISTRATION_REFUSED' | 'BUS_DENIED' };

async function ask(bus: Bus, runner: string, request: RegistrationRequest): Promise<Answer> {
  let data: Uint8Array;
  try {
    const message = await bus.request(subjects.register(runner), encode(request), { timeout: REQUEST_TIMEOUT_MS });
    data = message.data;
  } catch (error) {
    const code = natsCode(error);
    const denied = code === NATS_CODE.denied;
    const said = code === NATS_CODE.noResponders ? 'no registrar is listening' : messageOf(error);
    return { retryable: !denied, code, message: said, final: 'BUS_DENIED' };
  }
  try {
    const reply = registrationReply.parse(decode(data));
    return reply.ok ? { jitConfig: reply.jitConfig } : { ...reply, final: 'REGISTRATION_REFUSED' };
  } catch {
    // Not quoted: what isn't understood may still hold a secret.
    const message = 'the registrar’s answer does not have its documented shape';
    return { retryable: true, code: 'MESSAGE_INVALID', message, final: 'REGISTRATION_REFUSED' };
  }
}
