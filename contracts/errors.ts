/**
 * The registry of Baton's errors. Every error has a stable code, is retryable or not, and has a help text: what to do now.
 * No message may contain a secret: name the thing (runner, group, URL), never its content.
 */
export const ERRORS = {
  CONFIG_INVALID: { retryable: false, help: 'Correct the named lines, then run `baton config check FILE`.' },
  CONFIG_UNREADABLE: { retryable: false, help: 'Check that the file exists and that this user may read it.' },
  INPUT_INVALID: { retryable: false, help: 'Correct the named fields of the input manifest.' },
  SECRET_MISSING: { retryable: false, help: 'Set the named environment variable for this process.' },
  SECRET_INVALID: {
    retryable: false,
    help: 'Set the named environment variable again, then run `baton config check FILE` in the same environment.',
  },
  WEBHOOK_SIGNATURE: {
    retryable: false,
    help: 'The webhook secret on GitHub does not match Baton’s: set the same secret on both sides.',
  },
  WEBHOOK_INVALID: {
    retryable: false,
    help: 'The webhook does not have the documented shape; the error names the fields.',
  },
  WEBHOOK_TOO_LARGE: { retryable: false, help: 'Send a webhook body of at most 25 MB.' },
  TOO_MANY_REQUESTS: {
    retryable: true,
    help: 'This address sends too much; it may retry after `retry-after`. Behind a reverse proxy, set `ingress.trusted_proxies`.',
  },
  ROUTE_UNKNOWN: {
    retryable: false,
    help: 'This port serves /webhooks/github, /api/, /agent/ and /healthz; the status page is at the admin port.',
  },
  LOGIN_REQUIRED: {
    retryable: false,
    help: 'Sign in at /login with the password of the status page; scrapers of /metrics send `admin.metrics_token` as bearer token.',
  },
  HOST_UNKNOWN: {
    retryable: false,
    help: 'Open the page as localhost or by an address, or add the name of your reverse proxy to `admin.hosts`.',
  },
  OVERLOADED: { retryable: true, help: 'All callers together send too much; retry after `retry-after`.' },
  WEBHOOK_MEDIA_TYPE: { retryable: false, help: 'Set the webhook’s content type to application/json.' },
  BUS_UNAVAILABLE: { retryable: true, help: 'Check that NATS runs and that JetStream has room; the sender retries.' },
  BUS_NOT_SET_UP: {
    retryable: true,
    help: 'Run `baton setup nats` with the set-up credential; the service goes on by itself then.',
  },
  BUS_DENIED: { retryable: false, help: 'Check BATON_NATS_CREDENTIALS: this credential may not use that subject.' },
  MESSAGE_INVALID: {
    retryable: false,
    help: 'The message does not have the documented shape; look at the dead letters.',
  },
  NO_GROUP: {
    retryable: false,
    help: 'No group serves this job: run `baton explain JOB`, then add a group or correct runs-on.',
  },
  SIGNAL_FORGED: {
    retryable: false,
    help: 'A job used its runner’s credential to speak for another runner: check what that job ran.',
  },
  GROUP_UNKNOWN: { retryable: false, help: 'No group has this name; `baton status` lists all groups.' },
  DELEGATION_INVALID: {
    retryable: false,
    help: 'The request does not have the documented shape; the error names the fields.',
  },
  DELEGATION_TOKEN: {
    retryable: false,
    help: 'Give this proxy a credential of `baton proxy credential NAME`, or a new token; check its clock.',
  },
  DELEGATION_FORBIDDEN: {
    retryable: false,
    help: 'Use the token of this proxy, and name the proxy under delegation.proxies.',
  },
  DELEGATION_SCOPE: {
    retryable: false,
    help: 'A proxy’s own token only hands jobs over; read with one of `baton proxy token NAME --read`.',
  },
  DELEGATION_UNKNOWN: { retryable: false, help: 'Check the id; delegations are kept for 31 days.' },
  DELEGATION_TOO_LARGE: { retryable: false, help: 'Send a request body of at most 256 KiB: leave out variables.' },
  DELEGATION_TOO_MANY: {
    retryable: true,
    help: 'The proxy sends too many requests; it may retry after `retry-after`.',
  },
  DELEGATION_JOB_MISSING: {
    retryable: true,
    help: 'The forge shows no job of that run on that proxy; Baton asks again for a while.',
  },
  DELEGATION_LOST: {
    retryable: false,
    help: 'Fix what its detail says, then run the job again on the forge.',
  },
  RUNNER_UNKNOWN: { retryable: false, help: 'Check the name; the runner may have been removed.' },
  REGISTRATION_REFUSED: {
    retryable: false,
    help: 'This runner may not register; its phase in Temporal’s UI says why.',
  },
  REGISTRATION_DELAYED: {
    retryable: true,
    help: 'Nothing to do: the runner asks again when the forge lets it register. `baton status` shows what it waits for.',
  },
  FORGE_UNAVAILABLE: { retryable: true, help: 'The forge did not answer; Baton retries.' },
  FORGE_REFUSED: { retryable: false, help: 'Check the permissions of the App or token.' },
  FORGE_RATE_LIMITED: { retryable: true, help: 'The forge limits the rate; Baton retries after the time it names.' },
  GROUP_NOT_ADOPTED: {
    retryable: false,
    help: 'Set `adopt: true` for the group to use the forge’s runner group with the access that it has, or rename the group.',
  },
  INSTANCE_CONFLICT: {
    retryable: false,
    help: 'An instance with this name has other parameters: remove it, or wait until it ends.',
  },
  INSTANCE_INVALID: { retryable: false, help: 'Correct the instance settings of the group.' },
  IMAGE_MISSING: { retryable: true, help: 'Build or pull the image on the engine, or correct the group’s image.' },
  IMAGE_PULLING: {
    retryable: true,
    help: 'Nothing to do: the engine pulls the image, and Baton asks again until it has it.',
  },
  CAPACITY_EXHAUSTED: {
    retryable: true,
    help: 'No zone or subnet has capacity for this machine type; Baton retries. Give more types, subnets or zones.',
  },
  BACKEND_DENIED: {
    retryable: true,
    help: 'Renew the worker’s credential or correct its permissions; Baton retries.',
  },
  BACKEND_REFUSED: {
    retryable: true,
    help: 'Do what the backend’s answer says, such as turning off deletion protection; Baton asks again.',
  },
  BACKEND_UNAVAILABLE: { retryable: true, help: 'The backend did not answer; Baton retries.' },
  HOST_FILTER_FAILED: {
    retryable: true,
    help: 'Jobs could reach the engine’s machine, so no instance is created: do what the message says, or set `allow_host_access: true` for this backend.',
  },
  INSTANCE_UNSAFE: {
    retryable: false,
    help: 'Install iptables (or nftables) in the image, or set `block_metadata: false` where jobs may have the machine’s credentials.',
  },
  AGENT_UNKNOWN: {
    retryable: true,
    help: 'Bring the ingress and the backend worker to the same version; the instance retries.',
  },
  SERVER_UNAVAILABLE: {
    retryable: false,
    help: 'Start the server, or let Baton start it: see the steps printed above.',
  },
  ENGINE_UNAVAILABLE: {
    retryable: true,
    help: 'Check the engine’s address and the permissions of the service account; the status was not accepted.',
  },
  INTERNAL: { retryable: true, help: 'This is a fault in Baton; look at the log of the named service.' },
  WRAPPER_INVALID: {
    retryable: false,
    help: 'Correct the named action file, or remove the wrapper from the group.',
  },
  WRAPPER_FAILED: { retryable: false, help: 'Look at its output in the job’s log, and fix the wrapper.' },
  PROGRAM_FAILED: { retryable: false, help: 'See the end of its output above.' },
} as const satisfies Record<string, { retryable: boolean; help: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a code from {@link ERRORS}, a message (what was being done to what), and help (what to do now). */
export class BatonError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly help: string;
  /** Facts for logs and JSON answers (names, numbers, field paths). Never secrets. */
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

/** The message of anything that was thrown, for logs and for errors that name their cause. */
export function getErrorMessage(error: unknown): string {
  if (error instanceof Error) return error.message;
  try {
    return String(error);
  } catch {
    // An object of JSON may have a `toString` that is no function.
    return 'an error without a message';
  }
}
