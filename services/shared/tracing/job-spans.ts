import { formatJobTitle } from '../../../contracts/format.ts';
import type { JobEvent } from '../../../contracts/messages/job-event.ts';
import { jobTrace, spanId, traceparent, type RecordedSpan } from './span.ts';

/** Times in milliseconds since the epoch. */
interface Times {
  from: number;
  until: number;
}

/** What ingress did with a delivery. @param cause the sender's own `traceparent` */
export function deliverySpan(event: JobEvent, times: Times, cause: string | undefined): RecordedSpan {
  const { trace, root } = jobTrace(event.forge, event.job.id);
  const id = spanId(trace, `delivery/${event.delivery}`);
  const attributes = { 'baton.delivery': event.delivery, ...jobAttributes(event) };
  return { trace, id, parent: root, name: `webhook ${event.action}`, kind: 'server', ...times, attributes, cause };
}

/** The same, for the header of the message that goes on. */
export function deliveryContext(event: JobEvent): string {
  const { trace } = jobTrace(event.forge, event.job.id);
  return traceparent({ trace, id: spanId(trace, `delivery/${event.delivery}`) });
}

/**
 * What the relay did with a forge's word on a job; and, where that word is the last one, the job as a whole: its wait and its run.
 *
 * @param result what the message came to, e.g. `told`
 * @param streamPosition the position of the message in its stream
 */
export function relaySpans(
  event: JobEvent,
  times: Times,
  { result, streamPosition }: { result: string; streamPosition: string },
): RecordedSpan[] {
  const { trace, root } = jobTrace(event.forge, event.job.id);
  const common = { trace, kind: 'internal' } as const;
  const attributes = jobAttributes(event);
  const spans: RecordedSpan[] = [
    {
      ...common,
      ...times,
      id: spanId(trace, `relay/${streamPosition}`),
      parent: spanId(trace, `delivery/${event.delivery}`),
      name: `relay ${event.action}`,
      kind: 'consumer',
      attributes: { ...attributes, 'baton.result': result },
    },
  ];
  const { job } = event;
  const [created, started, completed] = [job.createdAt, job.startedAt, job.completedAt].map((at) =>
    at === null ? Number.NaN : Date.parse(at),
  );
  if (event.action !== 'completed' || !known(created) || !known(completed)) return spans;
  const title = formatJobTitle(job.workflow, job.name);
  const problem = job.conclusion === 'failure' || job.conclusion === 'timed_out' ? job.conclusion : undefined;
  spans.push({
    ...common,
    id: root,
    parent: undefined,
    name: title,
    from: created,
    until: completed,
    attributes,
    problem,
  });
  if (!known(started) || job.runnerName === null) return spans;
  const [wait, run] = [spanId(trace, 'wait'), spanId(trace, 'run')];
  spans.push(
    { ...common, id: wait, parent: root, name: 'wait for a runner', from: created, until: started, attributes: {} },
    {
      ...common,
      id: run,
      parent: root,
      name: `run on ${job.runnerName}`,
      from: started,
      until: completed,
      attributes,
      problem,
    },
  );
  return spans;
}

function known(time: number | undefined): time is number {
  return time !== undefined && !Number.isNaN(time);
}

/** Names: OpenTelemetry's semantic conventions for CI/CD. @see https://opentelemetry.io/docs/specs/semconv/registry/attributes/cicd/ */
function jobAttributes({ job, repository }: JobEvent): RecordedSpan['attributes'] {
  return {
    'cicd.pipeline.name': job.workflow ?? undefined,
    'cicd.pipeline.run.id': String(job.runId),
    'cicd.pipeline.task.name': job.name,
    'cicd.pipeline.task.run.id': String(job.id),
    'cicd.pipeline.task.run.url.full': job.url ?? undefined,
    'cicd.pipeline.task.run.result': job.conclusion ?? undefined,
    'cicd.worker.name': job.runnerName ?? undefined,
    'vcs.repository.name': repository.fullName,
  };
}
