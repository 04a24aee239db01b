import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { METADATA_ENCODING_KEY, type DataConverter, type Payload, type PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';

const { Payload: PayloadMessage } = proto.temporal.api.common.v1;
const ENCODING = 'binary/gzip';
/**
 * Smaller ones stay as people read them in Temporal's UI. Temporal takes no payload of more than 2 MiB: what a dispatcher knows
 * of 10,000 runners and as many waiting jobs, which it hands to itself when its history begins anew, is some 3 MB.
 */
const LARGE_BYTES = 128 * 1024;

/** Packs large payloads; all of Baton's workers and clients have it. */
export class LargePayloads implements PayloadCodec {
  async encode(payloads: Payload[]): Promise<Payload[]> {
    return await Promise.all(
      payloads.map(async (payload) => {
        if ((payload.data?.length ?? 0) < LARGE_BYTES) return payload;
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

/** How values become payloads, for every worker and client. */
export const dataConverter: DataConverter = { payloadCodecs: [new LargePayloads()] };
