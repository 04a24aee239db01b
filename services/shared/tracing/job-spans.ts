import { formatJobTitle } from '../../../contracts/format.ts';
import type { JobEvent } from '../../../contracts/messages/job-event.ts';
import { toJobTrace, toSpanId, toTraceparent, type RecordedSpan } from './span.ts';

/** Times in milliseconds since the epoch. */
interface Times {
  from: number;
  until: number;
}

/** The span of ingress handling a webhook delivery. @param cause the sender's own `traceparent` */
export function toDeliverySpan(event: JobEvent, times: Times, cause: string | undefined): RecordedSpan {
  const { trace, root } = toJobTrace(event.forge, event.job.id);
  const id = toSpanId(trace, `delivery/${event.delivery}`);
  const attributes = { 'baton.delivery': event.delivery, ...toJobAttributes(event) };
  return { trace, id, parent: root, name: `webhook ${event.action}`, kind: 'server', ...times, attributes, cause };
}

/** The `traceparent` of that span, for the header of the message that ingress publishes. */
export function toDeliveryTraceparent(event: JobEvent): string {
  const { trace } = toJobTrace(event.forge, event.job.id);
  return toTraceparent({ trace, id: toSpanId(trace, `delivery/${event.delivery}`) });
}

/**
 * The span of the relay handling a job event. The `completed` event adds the spans of the whole job, of its wait and of its run.
 *
 * @param result of handling the message, such as `delivered`
 * @param streamPosition of the message in its stream
 */
export function toRelaySpans(
  event: JobEvent,
  times: Times,
  { result, streamPosition }: { result: string; streamPosition: string },
): RecordedSpan[] {
  const { trace, root } = toJobTrace(event.forge, event.job.id);
  const common = { trace, kind: 'internal' } as const;
  const attributes = toJobAttributes(event);
  const spans: RecordedSpan[] = [
    {
      ...common,
      ...times,
      id: toSpanId(trace, `relay/${streamPosition}`),
      parent: toSpanId(trace, `delivery/${event.delivery}`),
      name: `relay ${event.action}`,
      kind: 'consumer',
      attributes: { ...attributes, 'baton.result': result },
    },
  ];
  const { job } = event;
  const [created, started, completed] = [job.createdAt, job.startedAt, job.completedAt].map((at) =>
    at === null ? Number.NaN : Date.parse(at),
  );
  if (event.action !== 'completed' || !isKnown(created) || !isKnown(completed)) return spans;
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
  if (!isKnown(started) || job.runnerName === null) return spans;
  const [wait, run] = [toSpanId(trace, 'wait'), toSpanId(trace, 'run')];
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

function isKnown(time: number | undefined): time is number {
  return time !== undefined && !Number.isNaN(time);
}

/** Names: OpenTelemetry's semantic conventions for CI/CD. @see https://opentelemetry.io/docs/specs/semconv/registry/attributes/cicd/ */
function toJobAttributes({ job, repository }: JobEvent): RecordedSpan['attributes'] {
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
