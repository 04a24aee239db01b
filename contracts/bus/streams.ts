import { wildcards } from './subjects.ts';

const MINUTE_NS = 60_000_000_000;
const DAY_NS = 24 * 60 * MINUTE_NS;

export interface StreamPlan {
  name: string;
  subjects: string[];
  retention: 'workqueue' | 'limits';
  /** How long a message id is remembered, nanoseconds. */
  duplicateWindowNs: number;
  /** How long a message is kept at most, nanoseconds; 0 for ever. */
  maxAgeNs: number;
  maxBytes: number;
}

/**
 * The streams. Work queues drop a message when it is acknowledged; ages are above GitHub's own (a queued job dies after
 * 24 h, redelivery reaches back 3 days), so nothing useful is ever dropped by age.
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
  },
  dead: {
    name: 'BATON_DEAD',
    subjects: [wildcards.dead],
    retention: 'limits',
    duplicateWindowNs: 10 * MINUTE_NS,
    maxAgeNs: 14 * DAY_NS,
    maxBytes: 256 * 1024 ** 2,
  },
} as const satisfies Record<string, StreamPlan>;

/** Headers of our messages, besides NATS's own `Nats-Msg-Id`. */
export const HEADERS = {
  /** Dead letters: the error code, a sentence, the subject it came from and how often it was tried. */
  reasonCode: 'Baton-Reason-Code',
  reason: 'Baton-Reason',
  originalSubject: 'Baton-Original-Subject',
  deliveries: 'Baton-Deliveries',
  traceparent: 'traceparent',
} as const;
