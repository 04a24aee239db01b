import { EC2Client } from '@aws-sdk/client-ec2';
import { SSMClient } from '@aws-sdk/client-ssm';
import type { Ec2Config } from '../../../contracts/config/ec2.ts';
import { getDryScope, toBatonError } from './errors.ts';

/** How long EC2 may take to begin its answer, milliseconds; RunInstances takes seconds. */
const REQUEST_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5000;
/** The library repeats what was throttled, failed or broke off so often; Temporal goes on after that. */
const MAX_ATTEMPTS = 4;

export interface Ec2Clients {
  ec2: EC2Client;
  ssm: SSMClient;
}

/** Clients of a region. Credentials come from the library's own chain: environment, profile, web identity, instance. */
export function connectEc2({ region, endpoint }: Pick<Ec2Config, 'region' | 'endpoint'>): Ec2Clients {
  const options = {
    region,
    maxAttempts: MAX_ATTEMPTS,
    requestHandler: {
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    },
    ...(endpoint === undefined ? {} : { endpoint }),
  };
  const ec2 = new EC2Client(options);
  // EC2 answers "no capacity" with a 500, which the library would repeat: another place is what helps.
  ec2.middlewareStack.add(
    (next) => async (request) => {
      try {
        return await next(request);
      } catch (error) {
        const metadata: unknown = Reflect.get(Object(error), '$metadata');
        if (getDryScope(error) !== undefined) Reflect.set(Object(metadata), 'httpStatusCode', 400);
        throw error;
      }
    },
    { step: 'deserialize', priority: 'high', name: 'capacityIsNoFault' },
  );
  return { ec2, ssm: new SSMClient(options) };
}

/**
 * One call, repeated by the library where that can help.
 *
 * @param doing what for, e.g. `making instance x`
 * @param refused what a refusal of what we asked means: see {@link toBatonError}
 * @throws BatonError; the signal's reason when `abort` fired
 */
export async function callEc2<T>(
  doing: string,
  abort: AbortSignal,
  call: (options: { abortSignal: AbortSignal }) => Promise<T>,
  refused: 'invalid' | 'again' = 'again',
): Promise<T> {
  abort.throwIfAborted();
  try {
    return await call({ abortSignal: abort });
  } catch (error) {
    abort.throwIfAborted();
    throw toBatonError(error, doing, refused);
  }
}
