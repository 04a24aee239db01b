/**
 * Every NATS subject; no other code builds one. A runner's own credential may only publish to `signal.<runner>.>` and
 * `register.<runner>` and subscribe to `_INBOX_<runner>.>`.
 */
export const PREFIX = 'baton.v1';

export const SIGNAL_KINDS = ['online', 'started', 'completed', 'resources', 'interrupted', 'exited'] as const;
export type SignalKind = (typeof SIGNAL_KINDS)[number];

export const subjects = {
  /** A forge's webhook, normalised: {@link ../messages/job-event.ts}. Stream BATON_WEBHOOKS. */
  webhook: (forge: string, event: string): string => `${PREFIX}.webhook.${forge}.${event}`,
  /** What an agent or a hook reports about its own runner. Stream BATON_SIGNALS. */
  signal: (runner: string, kind: SignalKind): string => `${PREFIX}.signal.${runner}.${kind}`,
  /** A backend's watcher reports that an instance died. An instance may not publish it. Stream BATON_INSTANCES. */
  instanceDied: (runner: string): string => `${PREFIX}.instance.${runner}.died`,
  /** A backend created an instance. Plain NATS, in no stream. */
  instanceCreated: (runner: string): string => `${PREFIX}.created.${runner}`,
  /** Request/reply: an agent requests its registration. In no stream: the answer is a secret. */
  register: (runner: string): string => `${PREFIX}.register.${runner}`,
  /** Request/reply: asks the orchestrator for the status of all groups and runners. */
  status: `${PREFIX}.status`,
  /** Request/reply: asks the orchestrator to check a group's health now. */
  health: (group: string): string => `${PREFIX}.health.${group}`,
  /** A job that a proxy hands over, and its report that its attempt is about to end. Stream BATON_DELEGATIONS. */
  delegation: (proxy: string, kind: 'requested' | 'attempt-over'): string => `${PREFIX}.delegation.${proxy}.${kind}`,
  /** The steps of delegations. Stream BATON_AUDIT. */
  audit: (action: string): string => `${PREFIX}.audit.${action}`,
  /** Requests that an ingress refused: {@link ../messages/refused-request.ts}. Stream BATON_REFUSALS. */
  refusal: `${PREFIX}.refusal`,
  /** Request/reply: every relay, or every orchestrator, reads its configuration again and reports the result. */
  apply: (service: string): string => `${PREFIX}.apply.${service}`,
  /** Request/reply: an orchestrator pauses, resumes or drains a group. */
  control: `${PREFIX}.control`,
  /** Request/reply: asks an orchestrator which group serves a job, or why none does. */
  explain: `${PREFIX}.explain`,
  /** What an instance was used for, after its end. Stream BATON_USAGE. */
  usage: (group: string): string => `${PREFIX}.usage.${group}`,
  /** Request/reply: asks an orchestrator what instances cost. */
  cost: `${PREFIX}.cost`,
  /** Messages that can never be processed, with the reason in the headers. Stream BATON_DEAD. */
  dead: (stream: string): string => `${PREFIX}.dead.${stream}`,
} as const;

export const wildcards = {
  webhooks: `${PREFIX}.webhook.*.*`,
  signals: `${PREFIX}.signal.>`,
  died: `${PREFIX}.instance.*.died`,
  created: `${PREFIX}.created.*`,
  register: `${PREFIX}.register.*`,
  health: `${PREFIX}.health.*`,
  delegations: `${PREFIX}.delegation.*.*`,
  audit: `${PREFIX}.audit.*`,
  /** The key-value bucket of delegations: NATS itself names these. */
  delegatedJobs: '$KV.BATON_DELEGATED_JOBS.>',
  usages: `${PREFIX}.usage.*`,
  dead: `${PREFIX}.dead.*`,
} as const;

/** The inbox prefix of a runner's connection: the only thing it may subscribe to. */
export function runnerInbox(runner: string): string {
  return `_INBOX_${runner}`;
}

/** The group in `baton.v1.health.<group>`; undefined for other subjects. */
export function parseGroupFromSubject(subject: string): string | undefined {
  return subject.startsWith(`${PREFIX}.health.`) ? subject.split('.')[3] : undefined;
}

/** The runner's name in `baton.v1.(signal|instance|register|created).<runner>[.…]`; undefined for other subjects. */
export function parseRunnerFromSubject(subject: string): string | undefined {
  const parts = subject.split('.');
  if (parts[0] !== 'baton' || parts[1] !== 'v1') return undefined;
  return ['signal', 'instance', 'register', 'created'].includes(parts[2] ?? '') ? parts[3] : undefined;
}
