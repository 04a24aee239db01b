import { z } from 'zod';

/** The steps of a delegation that are recorded. */
export const AUDIT_ACTIONS = [
  'requested',
  'found',
  'handed-on',
  'runner-ordered',
  'proxies-aside',
  'proxies-back',
  're-run',
  'running',
  'completed',
  'failed',
] as const;

/** One entry of the audit stream: who did what to what, when, and with which result. Holds no secret. */
export const auditEntry = z.object({
  version: z.literal(1),
  /** Also the message id: a repeated step is one entry. */
  id: z.string().max(200),
  /** ISO 8601. */
  at: z.string(),
  /** `proxy/NAME`, `delegation/ID`, `proxies/GROUP`. */
  who: z.string(),
  action: z.enum(AUDIT_ACTIONS),
  /** The delegation's id, where there is one. */
  delegation: z.string().nullable(),
  repository: z.string().nullable(),
  runId: z.string().nullable(),
  /** `ok`, or an error code. */
  outcome: z.string(),
  detail: z.string().max(2000),
});

export type AuditEntry = z.infer<typeof auditEntry>;
