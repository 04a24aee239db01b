import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { METADATA_ENCODING_KEY, type DataConverter, type Payload, type PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';

const { Payload: PayloadMessage } = proto.temporal.api.common.v1;
const ENCODING = 'binary/gzip';
/**
 * Smaller payloads stay readable in Temporal's UI. Temporal accepts at most 2 MiB per payload; the state of a dispatcher with 10,000
 * runners and as many waiting jobs, which it passes to itself on continue-as-new, is about 3 MB as JSON.
 */
const MIN_COMPRESSED_BYTES = 128 * 1024;

/** Compresses large payloads. All of Baton's workers and clients use it. */
export class LargePayloadCodec implements PayloadCodec {
  async encode(payloads: Payload[]): Promise<Payload[]> {
    return await Promise.all(
      payloads.map(async (payload) => {
        if ((payload.data?.length ?? 0) < MIN_COMPRESSED_BYTES) return payload;
        const data = await promisify(gzip)(PayloadMessage.encode(payload).finish());
        return { metadata: { [METADATA_ENCODING_KEY]: new TextEncoder().encode(ENCODING) }, data };
      }),
    );
  }

  async decode(payloads: Payload[]): Promise<Payload[]> {
    return await Promise.all(
      payloads.map(async (payload) => {
        const encoding = payload.metadata?.[METADATA_ENCODING_KEY];
        if (payload.data == null || encoding === undefined || Buffer.from(encoding).toString() !== ENCODING) {
          return payload;
        }
        return PayloadMessage.decode(await promisify(gunzip)(payload.data));
      }),
    );
  }
}

/** Converts values to payloads, in every worker and client. */
export const dataConverter: DataConverter = { payloadCodecs: [new LargePayloadCodec()] };
