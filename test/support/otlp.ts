import { createServer, type Server } from 'node:http';
import { json } from 'node:stream/consumers';
import { z } from 'zod';

const value = z.object({ stringValue: z.string().optional(), intValue: z.union([z.number(), z.string()]).optional() });
const attribute = z.object({ key: z.string(), value });
const id = (bytes: number): z.ZodString => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const span = z.object({
  traceId: id(16),
  spanId: id(8),
  parentSpanId: id(8).or(z.literal('')).optional(),
  name: z.string().min(1),
  startTimeUnixNano: z.string().regex(/^\d+$/),
  endTimeUnixNano: z.string().regex(/^\d+$/),
  attributes: z.array(attribute).default([]),
  status: z.object({ code: z.number().optional(), message: z.string().optional() }).optional(),
  links: z.array(z.object({ traceId: id(16), spanId: id(8) })).default([]),
});
/** @see https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
const request = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: z.array(attribute) }),
      scopeSpans: z.array(z.object({ spans: z.array(span) })),
    }),
  ),
});

export type ReceivedSpan = z.infer<typeof span> & { service: string };

/** Receives spans as an OpenTelemetry collector does (OTLP over HTTP, in JSON), and stores each span once, by its ids. */
export class OtlpReceiver {
  readonly #spans = new Map<string, ReceivedSpan>();
  readonly #problems: string[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((message, response) => {
      const receive = async (): Promise<void> => {
        const body = await json(message);
        response.setHeader('content-type', 'application/json').end('{}');
        const parsed = request.safeParse(body);
        if (!parsed.success || message.url !== '/v1/traces') this.#problems.push(`${message.url}: ${parsed.error}`);
        for (const { resource, scopeSpans } of parsed.data?.resourceSpans ?? []) {
          const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
          for (const one of scopeSpans.flatMap(({ spans }) => spans)) {
            this.#spans.set(`${one.traceId}/${one.spanId}`, { ...one, service });
          }
        }
      };
      // A service that ends in the middle of an export breaks its connection.
      receive().catch(() => response.destroy());
    });
  }

  static async start(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the OTLP receiver does not listen');
    return `http://127.0.0.1:${address.port}`;
  }

  /** The spans so far. @throws Error where a request was not valid OTLP */
  spans(): ReceivedSpan[] {
    if (this.#problems.length > 0) throw new Error(this.#problems.join('\n'));
    return [...this.#spans.values()];
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
