import { createHash } from 'node:crypto';

/** A finished step, as OpenTelemetry records it. Times are milliseconds since the epoch. */
export interface RecordedSpan {
  trace: string;
  id: string;
  /** Undefined for the root of a trace. */
  parent: string | undefined;
  name: string;
  kind: 'internal' | 'server' | 'consumer';
  from: number;
  until: number;
  attributes: Record<string, string | number | undefined>;
  /** Why the step failed. */
  problem?: string | undefined;
  /** W3C `traceparent` of the cause outside Baton. */
  cause?: string | undefined;
}

/** Records spans. */
export interface Traces {
  /** Returns at once; never throws. */
  record(span: RecordedSpan): void;
  /** Sends the spans that are not sent yet. */
  close(): Promise<void>;
}

/**
 * The ids of a job's trace, made from the job's id: every process knows them without asking, and a span that is recorded twice
 * has the same id both times.
 */
export function toJobTrace(forge: string, jobId: number): { trace: string; root: string } {
  const trace = digest(`${forge}/job/${jobId}`, 32);
  return { trace, root: toSpanId(trace, 'job') };
}

/** The id of the trace of a runner that never had a job. */
export function toRunnerTrace(runner: string): string {
  return digest(`runner/${runner}`, 32);
}

/** The id of a span. @param key unique in the trace */
export function toSpanId(trace: string, key: string): string {
  return digest(`${trace}/${key}`, 16);
}

/** A span as a W3C `traceparent`. @see https://www.w3.org/TR/trace-context/#traceparent-header */
export function toTraceparent({ trace, id }: { trace: string; id: string }): string {
  return `00-${trace}-${id}-01`;
}

const TRACEPARENT = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}$/;

/** Reads a W3C `traceparent`; undefined where the text is not one. */
export function parseTraceparent(text: string | undefined): { trace: string; id: string } | undefined {
  const [, trace, id] = TRACEPARENT.exec(text ?? '') ?? [];
  return trace !== undefined && id !== undefined ? { trace, id } : undefined;
}

function digest(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}
