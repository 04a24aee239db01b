import { BatonError, getErrorMessage, type ErrorCode } from '../../../../contracts/errors.ts';
import type { RegistrationReply } from '../../../../contracts/messages/registration.ts';

/** After these an agent gives up; whatever the forge answers, it asks again. */
const FINAL: ReadonlySet<string> = new Set<ErrorCode>(['REGISTRATION_REFUSED', 'RUNNER_UNKNOWN', 'MESSAGE_INVALID']);

/** How soon a runner may ask again after an error that says nothing about it. */
const RETRY_AFTER_MS = {
  /** A permission, a runner group or a repository is missing: a person has to change something. */
  FORGE_REFUSED: 30_000,
  GROUP_NOT_ADOPTED: 30_000,
  FORGE_RATE_LIMITED: 10_000,
  FORGE_UNAVAILABLE: 2000,
} as const satisfies Partial<Record<ErrorCode, number>>;
/** A limit may end sooner than the forge said, and so may an outage. */
const MAX_RETRY_AFTER_MS = 60_000;

/** "Ask again in about that time." @param reason one clause for people */
export function createDelay(runner: string, retryAfterMs: number, reason: string): BatonError {
  const wait = Math.min(MAX_RETRY_AFTER_MS, Math.ceil(retryAfterMs));
  return new BatonError('REGISTRATION_DELAYED', `registering ${runner}: wait about ${formatSeconds(wait)}: ${reason}`, {
    details: { retryAfterMs: wait },
  });
}

function formatSeconds(ms: number): string {
  return `${Math.max(1, Math.round(ms / 1000))} s`;
}

/** An error as a reply. Where the forge's limits or an outage make the runner wait longer, its next request is told so. */
export function toRefusal(error: unknown): Extract<RegistrationReply, { ok: false }> {
  const known = error instanceof BatonError ? error : undefined;
  const code = known?.code ?? 'INTERNAL';
  const message = getErrorMessage(error);
  if (FINAL.has(code)) return { ok: false, code, message, retryable: false };
  const usual = Object.entries(RETRY_AFTER_MS).find(([name]) => name === code)?.[1];
  const asked = known?.details['retryAfterMs'];
  const wait = typeof asked === 'number' ? asked : usual;
  const retryAfterMs = wait === undefined ? {} : { retryAfterMs: Math.min(MAX_RETRY_AFTER_MS, wait) };
  return { ok: false, code, message, retryable: true, ...retryAfterMs };
}
