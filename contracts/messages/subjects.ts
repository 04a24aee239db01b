/**
 * Every subject on the bus, and nothing else builds one. A runner's own credential may publish to
 * `signal.<runner>.>` and `register.<runner>` and subscribe to `_INBOX_<runner>.>`: no more.
 */
export const PREFIX = 'baton.v1';

export const SIGNAL_KINDS = ['online', 'started', 'completed', 'resources', 'interrupted', 'exited'] as const;
export type SignalKind = (typeof SIGNAL_KINDS)[number];

export const subjects = {
  /** A forge's webhook, normalised: {@link ../messages/job-event.ts}. Stream BATON_WEBHOOKS. */
  webhook: (forge: string, event: string): string => `${PREFIX}.webhook.${forge}.${event}`,
  /** What an agent or a hook says about its own runner. Stream BATON_SIGNALS. */
  signal: (runner: string, kind: SignalKind): string => `${PREFIX}.signal.${runner}.${kind}`,
  /** What a backend's watcher says: an instance died. Not publishable from inside an instance. Stream BATON_SIGNALS. */
  instanceDied: (runner: string): string => `${PREFIX}.instance.${runner}.died`,
  /** A backend made an instance. Plain NATS, kept in no stream: for whoever watches just now. */
  instanceCreated: (runner: string): string => `${PREFIX}.created.${runner}`,
  /** Request/reply: an agent asks the registrar for its registration. Kept in no stream: the answer is a secret. */
  register: (runner: string): string => `${PREFIX}.register.${runner}`,
  /** Request/reply: anyone with a service credential asks the orchestrator what is going on. */
  status: `${PREFIX}.status`,
  /** Request/reply: asks the orchestrator to check a group's health now. */
  health: (group: string): string => `${PREFIX}.health.${group}`,
  /** A job that a proxy hands over, and its word that its attempt is over. Stream BATON_DELEGATIONS. */
  delegation: (proxy: string, kind: 'requested' | 'attempt-over'): string => `${PREFIX}.delegation.${proxy}.${kind}`,
  /** Who did what to a delegation. Stream BATON_AUDIT. */
  audit: (action: string): string => `${PREFIX}.audit.${action}`,
  /** Request/reply: every relay and orchestrator reads its configuration again and says so. */
  apply: `${PREFIX}.apply`,
  /** Request/reply: an orchestrator pauses, resumes or drains a group. */
  control: `${PREFIX}.control`,
  /** Request/reply: an orchestrator says which group takes a job, or why none does. */
  explain: `${PREFIX}.explain`,
  /** What an instance that has ended was used for. Stream BATON_USAGE. */
  usage: (group: string): string => `${PREFIX}.usage.${group}`,
  /** Request/reply: asks the orchestrator what instances cost. */
  cost: `${PREFIX}.cost`,
  /** Messages that can't ever be handled, with their reason in the headers. Stream BATON_DEAD. */
  dead: (stream: string): string => `${PREFIX}.dead.${stream}`,
} as const;

export const wildcards = {
  webhooks: `${PREFIX}.webhook.>`,
  signals: `${PREFIX}.signal.>`,
  instances: `${PREFIX}.instance.>`,
  created: `${PREFIX}.created.*`,
  register: `${PREFIX}.register.*`,
  health: `${PREFIX}.health.*`,
  delegations: `${PREFIX}.delegation.>`,
  audit: `${PREFIX}.audit.>`,
  /** The key-value bucket of delegations: NATS itself names these. */
  delegatedJobs: '$KV.BATON_DELEGATED_JOBS.>',
  usages: `${PREFIX}.usage.*`,
  dead: `${PREFIX}.dead.>`,
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
