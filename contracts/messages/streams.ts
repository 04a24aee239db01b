import { AUDIT_ACTIONS } from './audit.ts';
import { SIGNAL_KINDS, subjects, wildcards } from './subjects.ts';

const MINUTE_NS = 60_000_000_000;
const DAY_NS = 24 * 60 * MINUTE_NS;

export interface StreamPlan {
  name: string;
  subjects: string[];
  retention: 'workqueue' | 'limits';
  /** How long a message id is remembered, nanoseconds. */
  duplicateWindowNs: number;
  /** How long a message is kept at most, nanoseconds; 0: for ever. */
  maxAgeNs: number;
  maxBytes: number;
  /** The server refuses a larger message. Default: whatever the server takes. */
  maxMessageBytes?: number;
  /** The server refuses more unhandled messages of one subject: no sender fills the stream for the others. Default: no limit. */
  maxMessagesPerSubject?: number;
  /** Only the newest message of a subject is kept: a key-value bucket. */
  latestOnly?: boolean;
  /** Default: a work queue refuses new messages, a record forgets its oldest ones. */
  whenFull?: 'refuse';
  /** The durable consumer that services pull with. */
  consumer?: string;
}

/**
 * The streams, which `baton setup nats` creates: no service may change one. Their subjects are exact, as a stream takes what is
 * published on any of them. A work queue deletes a message when it is acknowledged. The maximum ages are longer than GitHub's own
 * limits (a queued job is cancelled after 24 h, redelivery reaches back 3 days), so that no useful message is deleted by age.
 */
export const STREAMS = {
  webhooks: {
    name: 'BATON_WEBHOOKS',
    subjects: [wildcards.webhooks],
    retention: 'workqueue',
    duplicateWindowNs: 10 * MINUTE_NS,
    maxAgeNs: 3 * DAY_NS,
    maxBytes: 1024 ** 3,
    consumer: 'relay-webhooks',
  },
  signals: {
    name: 'BATON_SIGNALS',
    subjects: SIGNAL_KINDS.map((kind) => subjects.signal('*', kind)),
    retention: 'workqueue',
    duplicateWindowNs: 10 * MINUTE_NS,
    maxAgeNs: 5 * DAY_NS,
    maxBytes: 1024 ** 3,
    // Jobs publish here. With the headers, which count, more than the relay accepts.
    maxMessageBytes: 72 * 1024,
    // A runner reports each kind once. While no relay runs, a job keeps 1.7 MB of the stream at most.
    maxMessagesPerSubject: 4,
    consumer: 'relay-signals',
  },
  /** What backends report, apart from what jobs can send: a flood of signals delays no death. */
  instances: {
    name: 'BATON_INSTANCES',
    subjects: [wildcards.died],
    retention: 'workqueue',
    duplicateWindowNs: 10 * MINUTE_NS,
    maxAgeNs: 5 * DAY_NS,
    maxBytes: 256 * 1024 ** 2,
    maxMessageBytes: 16 * 1024,
    consumer: 'relay-instances',
  },
  delegations: {
    name: 'BATON_DELEGATIONS',
    subjects: [subjects.delegation('*', 'requested'), subjects.delegation('*', 'attempt-over')],
    retention: 'workqueue',
    duplicateWindowNs: 10 * MINUTE_NS,
    maxAgeNs: 3 * DAY_NS,
    maxBytes: 128 * 1024 ** 2,
    consumer: 'relay-delegations',
  },
  /** A key-value bucket (contracts/lib/delegation-store.ts). Kept longer than GitHub allows a re-run: 30 days. */
  delegatedJobs: {
    name: 'KV_BATON_DELEGATED_JOBS',
    subjects: [wildcards.delegatedJobs],
    retention: 'limits',
    duplicateWindowNs: 2 * MINUTE_NS,
    maxAgeNs: 31 * DAY_NS,
    maxBytes: 256 * 1024 ** 2,
    latestOnly: true,
  },
  audit: {
    name: 'BATON_AUDIT',
    subjects: AUDIT_ACTIONS.map(subjects.audit),
    retention: 'limits',
    duplicateWindowNs: 60 * MINUTE_NS,
    maxAgeNs: 90 * DAY_NS,
    maxBytes: 512 * 1024 ** 2,
  },
  /** Apart from the steps of delegations: anybody can be refused, and must push out no step. */
  refusals: {
    name: 'BATON_REFUSALS',
    subjects: [subjects.refusal],
    retention: 'limits',
    duplicateWindowNs: 10 * MINUTE_NS,
    maxAgeNs: 90 * DAY_NS,
    maxBytes: 64 * 1024 ** 2,
    maxMessageBytes: 4096,
  },
  dead: {
    name: 'BATON_DEAD',
    subjects: [wildcards.dead],
    retention: 'limits',
    duplicateWindowNs: 10 * MINUTE_NS,
    maxAgeNs: 14 * DAY_NS,
    maxBytes: 256 * 1024 ** 2,
  },
  usage: {
    name: 'BATON_USAGE',
    subjects: [wildcards.usages],
    retention: 'limits',
    duplicateWindowNs: 60 * MINUTE_NS,
    maxAgeNs: 400 * DAY_NS,
    maxBytes: 512 * 1024 ** 2,
  },
  /** The key-value bucket in which orchestrators share their budgets of calls to the forge: full an hour after the last call. */
  forge: {
    name: 'KV_BATON_FORGE',
    subjects: ['$KV.BATON_FORGE.>'],
    retention: 'limits',
    duplicateWindowNs: 2 * MINUTE_NS,
    maxAgeNs: 2 * 60 * MINUTE_NS,
    maxBytes: 128 * 1024 ** 2,
    latestOnly: true,
    whenFull: 'refuse',
  },
  /** The key-value bucket with the newest configuration, and the runner groups that orchestrators have made. Kept for ever. */
  groups: {
    name: 'KV_BATON_GROUPS',
    subjects: ['$KV.BATON_GROUPS.>'],
    retention: 'limits',
    duplicateWindowNs: 2 * MINUTE_NS,
    maxAgeNs: 0,
    maxBytes: 64 * 1024 ** 2,
    latestOnly: true,
    whenFull: 'refuse',
  },
} as const satisfies Record<string, StreamPlan>;

/** The header of JetStream's answers to direct reads: no message that somebody published has it. */
export const STORED_MESSAGE = 'Nats-Stream';

/** The streams that each service uses, and waits for at its start. */
export const SERVICE_STREAMS = {
  ingress: ['webhooks', 'delegations', 'delegatedJobs', 'audit', 'refusals'],
  relay: ['webhooks', 'signals', 'instances', 'delegations', 'delegatedJobs', 'groups', 'dead'],
  orchestrator: ['webhooks', 'dead', 'delegatedJobs', 'audit', 'usage', 'forge', 'groups'],
  backend: ['instances'],
} as const satisfies Record<string, readonly (keyof typeof STREAMS)[]>;

/** Headers of our messages, besides NATS's own `Nats-Msg-Id`. */
export const HEADERS = {
  /** Of dead letters: the error code, a sentence, the original subject, and the number of deliveries. */
  reasonCode: 'Baton-Reason-Code',
  reason: 'Baton-Reason',
  originalSubject: 'Baton-Original-Subject',
  deliveries: 'Baton-Deliveries',
  traceparent: 'traceparent',
} as const;
