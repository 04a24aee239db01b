import * as z from 'zod';

/**
 * The protocol between the fake runner and the simulator, which is internal, as GitHub's own. All requests but that for the log
 * have the header `authorization: Bearer <secret>` and go to `<serverUrl>/_runner/<runnerId>/…`:
 *
 *     POST   session                       online; 409 while another session exists, 401 without a registration
 *     GET    message?wait=MS               200 `{jobId}`, or 204 after a while without one
 *     POST   jobs/ID/acquire               200 {@link jobMessage}; 409 when it was requeued meanwhile
 *     GET    jobs/ID/cancellation?wait=MS  200 `{cancelled}`: held open until then, and thereby also the heartbeat
 *     POST   jobs/ID/steps                 {@link stepReport}: the state of a step and further lines of its log
 *     POST   jobs/ID/complete              {@link completion}
 *     DELETE session?why=TEXT              offline
 */
export const jitConfig = z.object({
  version: z.literal(1),
  serverUrl: z.url(),
  runnerId: z.number().int(),
  runnerName: z.string(),
  secret: z.string(),
  workFolder: z.string(),
});

export const sessionAnswer = z.object({ pollMs: z.number(), outliveMs: z.number(), ephemeral: z.boolean() });
export const messageAnswer = z.object({ jobId: z.number() });
export const cancellationAnswer = z.object({ cancelled: z.boolean() });

const texts = z.record(z.string(), z.string());

const stepMessage = z.object({
  id: z.string().nullable(),
  name: z.string().nullable(),
  if: z.string().nullable(),
  run: z.string().nullable(),
  uses: z.string().nullable(),
  shell: z.string().nullable(),
  env: texts,
  workingDirectory: z.string().nullable(),
  continueOnError: z.boolean(),
  timeoutMinutes: z.number().nullable(),
});

export const jobMessage = z.object({
  jobId: z.number(),
  key: z.string(),
  name: z.string(),
  initialisation: z.enum(['ok', 'fail', 'cancel']),
  env: texts,
  matrix: z.record(z.string(), z.unknown()),
  steps: z.array(stepMessage),
  timeoutMinutes: z.number().nullable(),
  cancelGraceMs: z.number(),
  /** The `github` context, from which the default variables are made. */
  github: z.object({
    run_id: z.number(),
    run_number: z.number(),
    run_attempt: z.number(),
    workflow: z.string(),
    workflow_path: z.string(),
    repository: z.string(),
    repository_id: z.number(),
    repository_owner: z.string(),
    repository_owner_id: z.number(),
    sha: z.string(),
    ref: z.string(),
    ref_name: z.string(),
    actor: z.string(),
    actor_id: z.number(),
    event_name: z.string(),
    server_url: z.string(),
    api_url: z.string(),
  }),
  /** The webhook payload of the event that started the run: the content of GITHUB_EVENT_PATH. */
  event: z.record(z.string(), z.unknown()),
});

const conclusion = z.enum(['success', 'failure', 'cancelled', 'skipped']);

export const stepReport = z.object({
  number: z.number().int().positive(),
  name: z.string(),
  status: z.enum(['queued', 'in_progress', 'completed']),
  conclusion: conclusion.nullable(),
  startedAt: z.string().nullable(),
  completedAt: z.string().nullable(),
  /** Further lines, after those already sent. */
  lines: z.array(z.string()),
});

const annotation = z.object({
  level: z.enum(['notice', 'warning', 'failure']),
  message: z.string(),
  title: z.string().optional(),
  file: z.string().optional(),
  line: z.number().optional(),
});

export const completion = z.object({
  conclusion: z.enum(['success', 'failure', 'cancelled']),
  annotations: z.array(annotation),
  summary: z.string(),
});

export type Conclusion = z.infer<typeof conclusion>;
export type JitConfig = z.infer<typeof jitConfig>;
export type JobMessage = z.infer<typeof jobMessage>;
export type StepMessage = z.infer<typeof stepMessage>;
export type StepReport = z.infer<typeof stepReport>;
export type JobAnnotation = z.infer<typeof annotation>;
export type Completion = z.infer<typeof completion>;
