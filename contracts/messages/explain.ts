import { z } from 'zod';
import { GROUP_MODES } from './control.ts';
import { deadLetter, groupPace } from './status.ts';

const needs = z.object({
  repository: z.string(),
  private: z.boolean(),
  labels: z.array(z.string()),
  workflow: z.string().nullable(),
});

/** The job to explain: an existing one by its id, or a hypothetical one by what it would ask for. */
export const explainRequest = z.object({
  version: z.literal(1),
  jobId: z.number().int().positive().nullable(),
  /** `owner/name`, where known: needed to ask the forge about the job. */
  repository: z.string().nullable(),
  /** What a hypothetical job would ask for. */
  needs: needs.nullable(),
});

export const explainReply = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(false), code: z.string(), message: z.string() }),
  z.object({
    ok: z.literal(true),
    /** What the job asks for; null where it is unknown. */
    needs: needs.nullable(),
    /** Where that is known from: `the group`, `the dead letters`, `the forge`, `you`. */
    source: z.string().nullable(),
    /** The job as the forge reports it, where it was asked. */
    forge: z
      .object({
        action: z.string(),
        runner: z.string().nullable(),
        /** The job's run is over, so that it waits for nothing, whatever the forge shows. */
        runIsOver: z.boolean(),
      })
      .nullable(),
    /** Which group serves it by the configuration. */
    match: z
      .object({
        group: z.string().nullable(),
        hosted: z.boolean(),
        proxies: z.boolean(),
        reason: z.string(),
        verdicts: z.array(z.object({ group: z.string(), fits: z.boolean(), why: z.string() })),
      })
      .nullable(),
    /** What each group's dispatcher knows of it. */
    jobStatuses: z.array(
      z.object({
        group: z.string(),
        mode: z.enum(GROUP_MODES),
        /** No longer in the configuration: its waiting jobs move to other groups. */
        removed: z.boolean(),
        state: z.enum(['waiting', 'passed-over', 'held', 'too-old', 'finished', 'running']),
        since: z.string().nullable(),
        position: z.number().nullable(),
        runner: z.string().nullable(),
        /** How often an idle runner that was there for it got no job, and when it counts as demand again. */
        passedOver: z.number(),
        nextTryAt: z.string().nullable(),
        busy: z.number(),
        ready: z.number(),
        max: z.number(),
        wantedSlots: z.number(),
        backoffUntil: z.string().nullable(),
        pace: groupPace.nullable(),
      }),
    ),
    /** Runners that have or had it. */
    runners: z.array(z.object({ name: z.string(), group: z.string(), open: z.boolean() })),
    deadLetter: deadLetter.nullable(),
    /** Who did not answer, one clause each: what is said of the job may not be all. */
    unanswered: z.array(z.string()),
  }),
]);

export type ExplainRequest = z.infer<typeof explainRequest>;
export type ExplainReply = z.infer<typeof explainReply>;
export type Explanation = Extract<ExplainReply, { ok: true }>;
