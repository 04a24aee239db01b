import { BatonError, getErrorMessage, type ErrorCode } from '../../../contracts/errors.ts';

/**
 * What EC2's error codes mean for Baton.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
 */

/**
 * Errors for lack of capacity, which another type, subnet or market may have; each with what of the placement is dry.
 */
const CAPACITY = new Map<string, DryScope>([
  ['InsufficientInstanceCapacity', 'placement'],
  ['InsufficientHostCapacity', 'placement'],
  ['InsufficientReservedInstanceCapacity', 'placement'],
  ['InsufficientCapacity', 'placement'],
  ['UnfulfillableCapacity', 'placement'],
  ['SpotMaxPriceTooLow', 'placement'],
  // That zone never has this type.
  ['Unsupported', 'placement'],
  ['InsufficientFreeAddressesInSubnet', 'subnet'],
  // Limits of the account; each market has its own.
  ['MaxSpotInstanceCountExceeded', 'market'],
  ['InstanceLimitExceeded', 'type'],
  ['VcpuLimitExceeded', 'type'],
]);

/** What is dry: one placement, or all placements with its subnet, with its type on its market, or on its market. */
export type DryScope = 'placement' | 'subnet' | 'type' | 'market';

const DENIED = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'AuthFailure',
  'Blocked',
  'CredentialsProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'IncompleteSignature',
  'InvalidClientTokenId',
  'InvalidIdentityToken',
  'InvalidSignatureException',
  'MissingAuthenticationToken',
  'NotAuthorized',
  'OptInRequired',
  'PendingVerification',
  'RequestExpired',
  'RequestInTheFuture',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
  'TokenProviderError',
  'UnauthorizedOperation',
  'UnrecognizedClientException',
]);

const UNAVAILABLE = new Set([
  'BandwidthLimitExceeded',
  'EC2ThrottledException',
  'InternalError',
  'InternalFailure',
  'LimitExceededException',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'RequestTimeout',
  'RequestTimeoutException',
  'ResourceCountExceeded',
  'ServiceUnavailable',
  'SlowDown',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TimeoutError',
  'TooManyRequestsException',
  'TransactionInProgressException',
  'Unavailable',
]);

/** What passes by itself: EC2 does not know a new instance everywhere at once, and an instance changes its state. */
const PASSING = new Set(['IncorrectInstanceState', 'IncorrectState', 'InvalidInstanceID.NotFound']);

/** The code of an error from EC2 or its library: `InsufficientInstanceCapacity`; undefined where there is none. */
export function getEc2ErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // Old codes begin with the side that caused the error: Server.InternalError.
  return error.name.replace(/^(Client|Server)\./, '');
}

/** What of a placement is dry after this error; undefined for other errors. */
export function getDryScope(error: unknown): DryScope | undefined {
  return CAPACITY.get(getEc2ErrorCode(error) ?? '');
}

function getStatus(error: unknown): number | undefined {
  const metadata: unknown = error instanceof Error ? Reflect.get(error, '$metadata') : undefined;
  const status: unknown = Reflect.get(Object(metadata), 'httpStatusCode');
  return typeof status === 'number' ? status : undefined;
}

/**
 * Converts the error of a failed call to a BatonError. A request that EC2 refused for its content is INSTANCE_INVALID
 * where an instance was to be created (`invalid`), and BACKEND_REFUSED elsewhere (`retry`): reading and removing must be
 * retried for as long as it takes.
 *
 * @param doing what was being done: `creating instance x`
 */
export function toBatonError(error: unknown, doing: string, refused: 'invalid' | 'retry'): Error {
  if (error instanceof BatonError) return error;
  const code = getEc2ErrorCode(error);
  // A bug in this code, not an answer of the cloud.
  if (error instanceof TypeError) return error;
  const status = getStatus(error);
  const text = `${doing}: ${code ?? 'Error'}: ${getErrorMessage(error).trim()}`;
  return new BatonError(toErrorCode(code, status, refused), text, { cause: error, details: { status, code } });
}

function toErrorCode(code = '', status: number | undefined, refused: 'invalid' | 'retry'): ErrorCode {
  if (DENIED.has(code) || status === 401 || status === 403) return 'BACKEND_DENIED';
  const answered = status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429;
  if (!answered || UNAVAILABLE.has(code)) return 'BACKEND_UNAVAILABLE';
  if (refused === 'retry') return PASSING.has(code) ? 'BACKEND_UNAVAILABLE' : 'BACKEND_REFUSED';
  return /^InvalidAMIID\.|^ParameterNotFound$/.test(code) ? 'IMAGE_MISSING' : 'INSTANCE_INVALID';
}
