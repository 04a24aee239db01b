import { BatonError, messageOf, type ErrorCode } from '../../../contracts/errors.ts';

/**
 * What EC2's error codes mean to us.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
 */

/** No such machine here just now; another type, subnet or market may have one. By what of the place is dry. */
const CAPACITY = new Map<string, DryScope>([
  ['InsufficientInstanceCapacity', 'place'],
  ['InsufficientHostCapacity', 'place'],
  ['InsufficientReservedInstanceCapacity', 'place'],
  ['InsufficientCapacity', 'place'],
  ['UnfulfillableCapacity', 'place'],
  ['SpotMaxPriceTooLow', 'place'],
  // That zone doesn't have the type at all.
  ['Unsupported', 'place'],
  ['InsufficientFreeAddressesInSubnet', 'subnet'],
  // Limits of the account; a market has its own.
  ['MaxSpotInstanceCountExceeded', 'market'],
  ['InstanceLimitExceeded', 'type'],
  ['VcpuLimitExceeded', 'type'],
]);

/** How much is dry: one type in one subnet on one market, or all places with that subnet, type (of a market) or market. */
export type DryScope = 'place' | 'subnet' | 'type' | 'market';

const DENIED = new Set([
  'AuthFailure',
  'AccessDenied',
  'AccessDeniedException',
  'Blocked',
  'CredentialsProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'IncompleteSignature',
  'InvalidClientTokenId',
  'InvalidIdentityToken',
  'MissingAuthenticationToken',
  'NotAuthorized',
  'OptInRequired',
  'PendingVerification',
  'RequestExpired',
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
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'ResourceCountExceeded',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
  'Unavailable',
]);

/** The code of an error that EC2 (or its library) gave: `InsufficientInstanceCapacity`; undefined where there is none. */
export function getEc2ErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // Codes of the old kind say whose fault it was: Server.InternalError.
  return error.name.replace(/^(Client|Server)\./, '');
}

/** What of a place is dry when it answered so; undefined for other errors. */
export function getDryScope(error: unknown): DryScope | undefined {
  return CAPACITY.get(getEc2ErrorCode(error) ?? '');
}

function getStatus(error: unknown): number | undefined {
  const metadata: unknown = error instanceof Error ? Reflect.get(error, '$metadata') : undefined;
  const status: unknown = Reflect.get(Object(metadata), 'httpStatusCode');
  return typeof status === 'number' ? status : undefined;
}

/**
 * A failed call as one of ours. A request that EC2 refused for what it says is INSTANCE_INVALID where a machine was
 * asked for, and BACKEND_UNAVAILABLE elsewhere: looking and removing must go on for as long as it takes.
 *
 * @param doing what for: `making instance x`
 */
export function toBatonError(error: unknown, doing: string, refused: 'invalid' | 'again'): Error {
  if (error instanceof BatonError) return error;
  const code = getEc2ErrorCode(error);
  // A fault of ours is no answer of the cloud's.
  if (error instanceof TypeError) return error;
  const status = getStatus(error);
  const text = `${doing}: ${code ?? 'Error'}: ${messageOf(error).trim()}`;
  return new BatonError(toErrorCode(code, status, refused), text, { cause: error, details: { status, code } });
}

function toErrorCode(code = '', status: number | undefined, refused: 'invalid' | 'again'): ErrorCode {
  if (DENIED.has(code) || status === 401 || status === 403) return 'BACKEND_DENIED';
  const answered = status !== undefined && status >= 400 && status < 500 && status !== 429;
  if (!answered || UNAVAILABLE.has(code) || refused === 'again') return 'BACKEND_UNAVAILABLE';
  return /^InvalidAMIID\.|^ParameterNotFound$/.test(code) ? 'IMAGE_MISSING' : 'INSTANCE_INVALID';
}
