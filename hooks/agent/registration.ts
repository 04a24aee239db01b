import { decode, encode, type Bus } from '../../contracts/lib/nats.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { registrationReply, type RegistrationRequest } from '../../contracts/messages/registration.ts';
import { waitForAbort } from '../action-runners/manager/timer.ts';
import { backoff } from '../../contracts/lib/backoff.ts';
import { NATS_CODE, getNatsCode } from './nats-code.ts';

/** How long one request may take: the registrar calls the forge before it answers. */
const REQUEST_TIMEOUT_MS = 30_000;

export interface RequestRegistrationOptions {
  runner: string;
  agentVersion: string;
  /** Give up after this time. */
  timeoutMs: number;
  abort: AbortSignal;
  log: Logger;
}

/**
 * Requests this runner's registration from the registrar, until it answers with a registration or a final refusal.
 *
 * @returns the JIT config: a secret
 * @throws BatonError REGISTRATION_REFUSED (a final refusal), BUS_DENIED (the credential does not permit the request),
 *   BUS_UNAVAILABLE (timeout); the signal's reason when `abort` fires
 */
export async function requestRegistration(bus: Bus, options: RequestRegistrationOptions): Promise<string> {
  const { runner, agentVersion, timeoutMs, abort, log } = options;
  const request: RegistrationRequest = { version: 1, runner, agentVersion };
  const deadline = Date.now() + timeoutMs;
  for (let attempt = 0; ; attempt++) {
    abort.throwIfAborted();
    const answer = await Promise.race([requestOnce(bus, runner, request), waitForAbort(abort)]);
    if (answer === undefined) continue;
    if ('jitConfig' in answer) return answer.jitConfig;
    log.warn({ attempt, code: answer.code }, `registration failed: ${answer.message}`);
    if (!answer.retryable) throw new BatonError(answer.final, `registering ${runner}: ${answer.message}`);
    if (Date.now() >= deadline) {
      throw new BatonError(
        'BUS_UNAVAILABLE',
        `registering ${runner}: no registration within ${timeoutMs / 1000} s; ${answer.message}`,
      );
    }
    await backoff(attempt, { firstMs: 250, maxMs: 10_000, abort });
  }
}

type RegistrationAnswer =
  | { jitConfig: string }
  | { retryable: boolean; code: string; message: string; final: 'REGISTRATION_REFUSED' | 'BUS_DENIED' };

async function requestOnce(bus: Bus, runner: string, request: RegistrationRequest): Promise<RegistrationAnswer> {
  let data: Uint8Array;
  try {
    const message = await bus.request(subjects.register(runner), encode(request), { timeout: REQUEST_TIMEOUT_MS });
    data = message.data;
  } catch (error) {
    const code = getNatsCode(error);
    const denied = code === NATS_CODE.denied;
    const message = code === NATS_CODE.noResponders ? 'no registrar is listening' : getErrorMessage(error);
    return { retryable: !denied, code, message, final: 'BUS_DENIED' };
  }
  try {
    const reply = registrationReply.parse(decode(data));
    return reply.ok ? { jitConfig: reply.jitConfig } : { ...reply, final: 'REGISTRATION_REFUSED' };
  } catch {
    // Not quoted: an answer of another shape may still hold a secret.
    const message = 'the registrar’s answer does not have the documented shape';
    return { retryable: true, code: 'MESSAGE_INVALID', message, final: 'REGISTRATION_REFUSED' };
  }
}
