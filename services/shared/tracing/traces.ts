import {
  context,
  diag,
  DiagLogLevel,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Link,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Logger } from '../../../contracts/lib/log.ts';
import { parseTraceparent, type RecordedSpan, type Traces } from './span.ts';

const KINDS = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, consumer: SpanKind.CONSUMER } as const;

/** Sends spans by OTLP over HTTP, to the address in OpenTelemetry's environment variables. Spans that can't be sent are lost. */
export class OtlpTraces implements Traces {
  readonly #provider: TracerProvider;
  /** The ids of the span that is recorded now. */
  #current = { trace: '', id: '' };

  constructor(service: string, installation: string, log: Logger) {
    const warn = (message: string): void => log.warn({ reason: message }, 'OpenTelemetry warning');
    const ignore = (): void => undefined;
    const logger = { error: warn, warn, info: ignore, debug: ignore, verbose: ignore };
    diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
    this.#provider = new TracerProvider({
      resource: defaultResource().merge(
        resourceFromAttributes({
          'service.namespace': 'baton',
          'service.name': service,
          'baton.installation': installation,
        }),
      ),
      idGenerator: { generateTraceId: () => this.#current.trace, generateSpanId: () => this.#current.id },
      spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
    });
  }

  record(span: RecordedSpan): void {
    this.#current = { trace: span.trace, id: span.id };
    const cause = parseTraceparent(span.cause);
    const links: Link[] =
      cause === undefined
        ? []
        : [{ context: { traceId: cause.trace, spanId: cause.id, traceFlags: TraceFlags.SAMPLED } }];
    const parent =
      span.parent === undefined
        ? context.active()
        : trace.setSpanContext(context.active(), {
            traceId: span.trace,
            spanId: span.parent,
            traceFlags: TraceFlags.SAMPLED,
            isRemote: true,
          });
    const tracer = this.#provider.getTracer('baton');
    const options = { kind: KINDS[span.kind], startTime: span.from, attributes: span.attributes, links };
    const recorded = tracer.startSpan(span.name, { ...options, root: span.parent === undefined }, parent);
    if (span.problem !== undefined) recorded.setStatus({ code: SpanStatusCode.ERROR, message: span.problem });
    // The forge's clock and ours may differ.
    recorded.end(Math.max(span.from, span.until));
  }

  async close(): Promise<void> {
    await this.#provider.shutdown();
  }
}
