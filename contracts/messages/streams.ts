import { wildcards } from './subjects.ts';

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
  /** Only the newest message of a subject is kept: a key-value bucket. */
  latestOnly?: boolean;
}

/**
 * The streams. A work queue deletes a message when it is acknowledged. The maximum ages are longer than GitHub's own limits (a
 * queued job is cancelled after 24 h, redelivery reaches back 3 days), so that no useful message is deleted by age.
 */
export const STREAMS = {
  webhooks: {
    name: 'BATON_WEBHOOKS',
    subjects: [wildcards.webhooks],
    retention: 'workqueue',
    duplicateWindowNs: 10 * MINUTE_NS,
    maxAgeNs: 3 * DAY_NS,
    maxBytes: 1024 ** 3,
  },
  signals: {
    name: 'BATON_SIGNALS',
    subjects: [wildcards.signals, wildcards.instances],
    retention: 'workqueue',
    duplicateWindowNs: 10 * MINUTE_NS,
    maxAgeNs: 5 * DAY_NS,
    maxBytes: 1024 ** 3,
    // Jobs publish here. With the headers, which count, more than the relay accepts.
    maxMessageBytes: 72 * 1024,
  },
  delegations: {
    name: 'BATON_DELEGATIONS',
    subjects: [wildcards.delegations],
    retention: 'workqueue',
    duplicateWindowNs: 10 * MINUTE_NS,
    maxAgeNs: 3 * DAY_NS,
    maxBytes: 128 * 1024 ** 2,
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
    subjects: [wildcards.audit],
    retention: 'limits',
    duplicateWindowNs: 60 * MINUTE_NS,
    maxAgeNs: 90 * DAY_NS,
    maxBytes: 512 * 1024 ** 2,
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
} as const satisfies Record<string, StreamPlan>;

/** Headers of our messages, besides NATS's own `Nats-Msg-Id`. */
export const HEADERS = {
  /** Of dead letters: the error code, a sentence, the original subject, and the number of deliveries. */
  reasonCode: 'Baton-Reason-Code',
  reason: 'Baton-Reason',
  originalSubject: 'Baton-Original-Subject',
  deliveries: 'Baton-Deliveries',
  traceparent: 'traceparent',
} as const;
