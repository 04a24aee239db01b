import { setTimeout as sleep } from 'node:timers/promises';
import { decode, encode, type Bus } from '../../contracts/lib/nats.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import { BatonError, getErrorMessage, type ErrorCode } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { registrationReply, type RegistrationRequest } from '../../contracts/messages/registration.ts';
import { waitForAbort } from '../action-runners/manager/timer.ts';
import { backoff } from '../../contracts/lib/backoff.ts';
import { NATS_CODE, getNatsCode } from './nats-code.ts';

/** How long one request may take: the registrar calls the forge before it answers. */
const REQUEST_TIMEOUT_MS = 30_000;
/** The registrar's advice is followed up to this. */
const MAX_RETRY_AFTER_MS = 300_000;
/** What the registrar says for good. Whatever the forge or NATS answers, a later request may succeed. */
const FINAL: ReadonlySet<string> = new Set<ErrorCode>(['REGISTRATION_REFUSED', 'RUNNER_UNKNOWN', 'MESSAGE_INVALID']);

export interface RequestRegistrationOptions {
  runner: string;
  agentVersion: string;
  /** Give up after this time. */
  timeoutMs: number;
  abort: AbortSignal;
  log: Logger;
}

/**
 * Requests this runner's registration from the registrar, until it answers with a registration or a final refusal. Waits
 * between requests for as long as the registrar says.
 *
 * @returns the JIT config: a secret
 * @throws BatonError REGISTRATION_REFUSED (a final refusal), BUS_DENIED (the credential does not permit the request),
 *   REGISTRATION_DELAYED (timeout); the signal's reason when `abort` fires
 */
export async function requestRegistration(bus: Bus, options: RequestRegistrationOptions): Promise<string> {
  const { runner, agentVersion, timeoutMs, abort, log } = options;
  const deadline = performance.now() + timeoutMs;
  let failures = 0;
  for (let attempt = 0; ; attempt++) {
    abort.throwIfAborted();
    const request: RegistrationRequest = { version: 1, runner, agentVersion, attempt, waitMs: REQUEST_TIMEOUT_MS };
    const answer = await Promise.race([requestOnce(bus, runner, request), waitForAbort(abort)]);
    if (answer === undefined) continue;
    if ('jitConfig' in answer) return answer.jitConfig;
    const { code, message, final, retryAfterMs } = answer;
    if (final !== undefined) {
      log.warn({ attempt, code }, `registration refused: ${message}`);
      throw new BatonError(final, `registering ${runner}: ${message}`);
    }
    const left = deadline - performance.now();
    if (left <= 0) {
      const time = `${Math.round(timeoutMs / 1000)} s`;
      throw new BatonError('REGISTRATION_DELAYED', `registering ${runner}: no registration within ${time}; ${message}`);
    }
    log.info({ attempt, code, retryAfterMs }, `waiting for the registration: ${message}`);
    if (retryAfterMs === undefined) await backoff(failures++, { firstMs: 250, maxMs: 10_000, abort });
    else await sleep(Math.min(left, addJitter(retryAfterMs)), undefined, { signal: abort });
  }
}

/** Up to a quarter more: a thousand agents that were told the same time do not ask at the same moment. */
function addJitter(retryAfterMs: number): number {
  return Math.min(retryAfterMs, MAX_RETRY_AFTER_MS) * (1 + Math.random() / 4);
}

type RegistrationAnswer =
  | { jitConfig: string }
  | {
      code: string;
      message: string;
      retryAfterMs?: number | undefined;
      /** Set where asking again is of no use. */
      final?: 'REGISTRATION_REFUSED' | 'BUS_DENIED' | undefined;
    };

async function requestOnce(bus: Bus, runner: string, request: RegistrationRequest): Promise<RegistrationAnswer> {
  let data: Uint8Array;
  try {
    const message = await bus.request(subjects.register(runner), encode(request), { timeout: REQUEST_TIMEOUT_MS });
    data = message.data;
  } catch (error) {
    const code = getNatsCode(error);
    const message = code === NATS_CODE.noResponders ? 'no registrar is listening' : getErrorMessage(error);
    return { code, message, final: code === NATS_CODE.denied ? 'BUS_DENIED' : undefined };
  }
  try {
    const reply = registrationReply.parse(decode(data));
    if (reply.ok) return { jitConfig: reply.jitConfig };
    const { code, message, retryable, retryAfterMs } = reply;
    return { code, message, retryAfterMs, final: !retryable && FINAL.has(code) ? 'REGISTRATION_REFUSED' : undefined };
  } catch {
    // Not quoted: an answer of another shape may still hold a secret.
    return { code: 'MESSAGE_INVALID', message: 'the registrar’s answer does not have the documented shape' };
  }
}
