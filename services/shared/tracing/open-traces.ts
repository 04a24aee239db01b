import type { Logger } from '../../../contracts/lib/log.ts';
import type { Traces } from './span.ts';

/** OpenTelemetry's own: where to. Without one there are no traces. */
const ENDPOINTS = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'];

/**
 * Traces, where OpenTelemetry's variables say that somebody wants them; else undefined, and nothing of it is loaded.
 *
 * @see https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
export async function openTraces(service: string, installation: string, log: Logger): Promise<Traces | undefined> {
  const wanted = ENDPOINTS.some((name) => process.env[name]);
  const refused = process.env['OTEL_SDK_DISABLED'] === 'true' || process.env['OTEL_TRACES_EXPORTER'] === 'none';
  if (!wanted || refused) return undefined;
  const { OtlpTraces } = await import('./traces.ts');
  return new OtlpTraces(service, installation, log);
}
