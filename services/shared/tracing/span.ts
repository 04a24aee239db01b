import { createHash } from 'node:crypto';

/** A deed that is over, as it is recorded: all that OpenTelemetry wants to know of it. Times are milliseconds since the epoch. */
export interface RecordedSpan {
  trace: string;
  id: string;
  /** Undefined: nothing is above it. */
  parent: string | undefined;
  name: string;
  kind: 'internal' | 'server' | 'consumer';
  from: number;
  until: number;
  attributes: Record<string, string | number | undefined>;
  /** Why it failed, for a person. */
  problem?: string | undefined;
  /** W3C `traceparent` of whoever caused it outside Baton. */
  cause?: string | undefined;
}

/** Where spans go. */
export interface Traces {
  /** Never throws, and waits for nothing. */
  record(span: RecordedSpan): void;
  /** Sends what is left. */
  close(): Promise<void>;
}

/**
 * A job's trace. Whoever knows the job knows its trace and the ids in it: nothing has to be carried from process to process, and
 * what is recorded twice has the same ids twice.
 */
export function jobTrace(forge: string, jobId: number): { trace: string; root: string } {
  const trace = digest(`${forge}/job/${jobId}`, 32);
  return { trace, root: spanId(trace, 'job') };
}

/** The trace of a runner that never had a job. */
export function runnerTrace(runner: string): string {
  return digest(`runner/${runner}`, 32);
}

/** @param key what it is, the only one of its kind in the trace */
export function spanId(trace: string, key: string): string {
  return digest(`${trace}/${key}`, 16);
}

/** W3C trace context. @see https://www.w3.org/TR/trace-context/#traceparent-header */
export function traceparent({ trace, id }: { trace: string; id: string }): string {
  return `00-${trace}-${id}-01`;
}

const TRACEPARENT = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}$/;

/** @returns undefined where it is none */
export function parseTraceparent(text: string | undefined): { trace: string; id: string } | undefined {
  const [, trace, id] = TRACEPARENT.exec(text ?? '') ?? [];
  return trace !== undefined && id !== undefined ? { trace, id } : undefined;
}

function digest(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}
