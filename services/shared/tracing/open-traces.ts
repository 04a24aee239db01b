import type { Logger } from '../../../contracts/lib/log.ts';
import type { Traces } from './span.ts';

/** OpenTelemetry's environment variables for the address of the collector. Without one of them, tracing is off. */
const ENDPOINTS = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'];

/**
 * Opens tracing where OpenTelemetry's environment variables turn it on; else returns undefined, and loads none of its libraries.
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
