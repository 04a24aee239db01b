/**
 * The one registry of Baton's errors. Every error has a stable code, is classed retryable or not where it arises,
 * and tells what to do now. No message may carry a secret: name the thing (runner, group, URL), never its content.
 */
export const ERRORS = {
  CONFIG_INVALID: { retryable: false, help: 'Correct the named lines; `baton config check FILE` checks again.' },
  CONFIG_UNREADABLE: { retryable: false, help: 'Check that the file exists and that this user may read it.' },
  INPUT_INVALID: { retryable: false, help: 'Correct the named fields of the input manifest.' },
  SECRET_MISSING: { retryable: false, help: 'Set the named environment variable for this process.' },
  WEBHOOK_SIGNATURE: {
    retryable: false,
    help: 'The secret on the forge and in BATON differ: set the same one on both sides.',
  },
  WEBHOOK_INVALID: { retryable: false, help: 'The body does not have the documented shape; the fields are named.' },
  WEBHOOK_TOO_LARGE: { retryable: false, help: 'A webhook body is at most 25 MB.' },
  WEBHOOK_MEDIA_TYPE: { retryable: false, help: 'Set the webhook content type to application/json.' },
  BUS_UNAVAILABLE: { retryable: true, help: 'NATS does not answer or JetStream has no room; the sender tries again.' },
  BUS_DENIED: { retryable: false, help: 'This credential may not use that subject.' },
  MESSAGE_INVALID: { retryable: false, help: 'The message does not have its documented shape; see the dead letters.' },
  NO_GROUP: {
    retryable: false,
    help: 'No group serves this job; `baton explain JOB` says why. Add a group or correct runs-on.',
  },
  SIGNAL_FORGED: {
    retryable: false,
    help: 'A job used its runner’s credential to speak for another runner: look at what that job ran.',
  },
  GROUP_UNKNOWN: { retryable: false, help: 'No group has this name; `baton status` shows those there are.' },
  DELEGATION_INVALID: { retryable: false, help: 'The body does not have the documented shape; the fields are named.' },
  DELEGATION_TOKEN: {
    retryable: false,
    help: 'Make a new token for this proxy (`baton proxy token NAME`) and give it to the proxy.',
  },
  DELEGATION_FORBIDDEN: {
    retryable: false,
    help: 'A token is for one proxy alone: use that proxy’s own, and name it under delegation.proxies.',
  },
  DELEGATION_UNKNOWN: { retryable: false, help: 'There is no such delegation; they are kept for 31 days.' },
  DELEGATION_TOO_LARGE: { retryable: false, help: 'A request body is at most 256 KiB: leave variables out.' },
  DELEGATION_TOO_MANY: { retryable: true, help: 'The proxy asks too often; it may ask again after `retry-after`.' },
  DELEGATION_JOB_MISSING: {
    retryable: true,
    help: 'The forge shows no job of that run on that proxy; it is asked again for a while.',
  },
  DELEGATION_LOST: {
    retryable: false,
    help: 'Its detail says why; run the job again on the forge when that is mended.',
  },
  RUNNER_UNKNOWN: { retryable: false, help: 'There is no such runner; it may have been removed.' },
  REGISTRATION_REFUSED: { retryable: false, help: 'This runner may not register (any more); its phase says why.' },
  FORGE_UNAVAILABLE: { retryable: true, help: 'The forge did not give an answer; it is asked again.' },
  FORGE_REFUSED: { retryable: false, help: 'The forge refused the request; check permissions of the App or token.' },
  FORGE_RATE_LIMITED: { retryable: true, help: 'The forge asked to wait; the request is repeated after that.' },
  INSTANCE_CONFLICT: {
    retryable: false,
    help: 'An instance of this name exists with other parameters; remove it or let it end.',
  },
  INSTANCE_INVALID: { retryable: false, help: 'Correct the instance settings of the group.' },
  IMAGE_MISSING: { retryable: true, help: 'Build or pull the image on the engine, or correct the group’s image.' },
  CAPACITY_EXHAUSTED: {
    retryable: true,
    help: 'No place of the backend has such a machine just now; it is tried again. Give more types, subnets or zones.',
  },
  BACKEND_DENIED: {
    retryable: true,
    help: 'The backend refused the worker’s credentials or permissions; renew them, it is tried again.',
  },
  BACKEND_UNAVAILABLE: { retryable: true, help: 'The backend did not give an answer; it is asked again.' },
  AGENT_UNKNOWN: {
    retryable: true,
    help: 'The ingress is of another version than the backend worker: bring both to the same; instances keep asking.',
  },
  SERVER_UNAVAILABLE: { retryable: false, help: 'Start the server, or let Baton get it: see the steps printed above.' },
  ENGINE_UNAVAILABLE: {
    retryable: true,
    help: 'The engine did not take the action’s status: check its address, and what the service account may do.',
  },
  INTERNAL: { retryable: true, help: 'This is a fault in Baton itself; the log of the named service tells more.' },
  WRAPPER_INVALID: {
    retryable: false,
    help: 'Correct the named action file by the named rule, or take the wrapper out of the group.',
  },
  WRAPPER_FAILED: { retryable: false, help: 'Its output in the job’s log tells more; mend the wrapper.' },
  PROGRAM_FAILED: { retryable: false, help: 'Its last output is above.' },
} as const satisfies Record<string, { retryable: boolean; help: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** A typed error: a code from {@link ERRORS}, what was done to what, and what to do now. */
export class BatonError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly help: string;
  /** Facts for logs and JSON answers (names, numbers, field paths); never secrets. */
  readonly details: Readonly<Record<string, unknown>>;

  /**
   * @param code one of {@link ERRORS}
   * @param message what was being done to what, e.g. `creating container runner-1: engine answered 500`
   */
  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BatonError';
    this.code = code;
    this.retryable = ERRORS[code].retryable;
    this.help = ERRORS[code].help;
    this.details = options.details ?? {};
  }
}

/** The message of anything thrown, for logs and for messages that name a cause. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
