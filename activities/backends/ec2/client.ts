import { EC2Client } from '@aws-sdk/client-ec2';
import { SSMClient } from '@aws-sdk/client-ssm';
import type { Ec2Config } from '../../../contracts/config/ec2.ts';
import { getDryScope, toBatonError } from './errors.ts';

/** How long EC2 may take to begin its answer; RunInstances takes seconds. */
const REQUEST_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5000;
/** The library's attempts at a throttled, failed or interrupted call; after that, Temporal retries the activity. */
const MAX_ATTEMPTS = 4;

export interface Ec2Clients {
  ec2: EC2Client;
  ssm: SSMClient;
}

/** Clients for one region. The library finds the credentials: environment, profile, web identity, instance. */
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
  // EC2 answers "no capacity" with status 500, which the library would retry; only another placement helps.
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
 * Makes one call, which the library retries where that can help.
 *
 * @param doing the purpose, for error messages: `creating instance x`
 * @param refused how to treat a call that EC2 refused: see {@link toBatonError}
 * @throws BatonError; the signal's reason when `abort` fired
 */
export async function callEc2<T>(
  doing: string,
  abort: AbortSignal,
  call: (options: { abortSignal: AbortSignal }) => Promise<T>,
  refused: 'invalid' | 'retry' = 'retry',
): Promise<T> {
  abort.throwIfAborted();
  try {
    return await call({ abortSignal: abort });
  } catch (error) {
    abort.throwIfAborted();
    throw toBatonError(error, doing, refused);
  }
}
