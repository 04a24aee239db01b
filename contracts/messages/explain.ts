import { z } from 'zod';
import { GROUP_MODES } from './control.ts';
import { deadLetter } from './status.ts';

const needs = z.object({
  repository: z.string(),
  private: z.boolean(),
  labels: z.array(z.string()),
  workflow: z.string().nullable(),
});

/** Which job is meant: one that is there, by its id, or one that might be, by what it would ask for. */
export const explainRequest = z.object({
  version: z.literal(1),
  jobId: z.number().int().positive().nullable(),
  /** `owner/name`, where it is known: then the forge can be asked about the job. */
  repository: z.string().nullable(),
  /** A job that might be. */
  needs: needs.nullable(),
});

export const explainReply = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(false), code: z.string(), message: z.string() }),
  z.object({
    ok: z.literal(true),
    /** What the job asks for; null where nobody knows. */
    needs: needs.nullable(),
    /** Who told that: `the group`, `the dead letters`, `the forge`, `you`. */
    source: z.string().nullable(),
    /** The forge's word on the job, where it was asked. */
    forge: z.object({ action: z.string(), runner: z.string().nullable() }).nullable(),
    /** What the configuration makes of it. */
    match: z
      .object({
        group: z.string().nullable(),
        hosted: z.boolean(),
        proxies: z.boolean(),
        reason: z.string(),
        verdicts: z.array(z.object({ group: z.string(), fits: z.boolean(), why: z.string() })),
      })
      .nullable(),
    /** What groups know of it. */
    jobStatuses: z.array(
      z.object({
        group: z.string(),
        mode: z.enum(GROUP_MODES),
        state: z.enum(['waiting', 'held', 'finished', 'running']),
        since: z.string().nullable(),
        position: z.number().nullable(),
        runner: z.string().nullable(),
        busy: z.number(),
        ready: z.number(),
        max: z.number(),
        wantedSlots: z.number(),
        backoffUntil: z.string().nullable(),
      }),
    ),
    /** Runners that have or had it. */
    runners: z.array(z.object({ name: z.string(), group: z.string(), open: z.boolean() })),
    deadLetter: deadLetter.nullable(),
  }),
]);

export type ExplainRequest = z.infer<typeof explainRequest>;
export type ExplainReply = z.infer<typeof explainReply>;
export type Explanation = Extract<ExplainReply, { ok: true }>;
