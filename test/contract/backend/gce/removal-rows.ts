import type { Answer, Fault } from '../../../support/fault-proxy.ts';
import { HTTP_FAILURES, readGoogleStatuses, readGoogleWarnings } from '../../../support/library-lists.ts';
import { jsonAnswer, pageAnswer } from '../../../support/removal-ending.ts';
import { answerWith, failedOperation, google, REMOVAL_STEPS, type RemovalStep } from './removal-trials.ts';

/**
 * HTTP statuses: Node's list and those that Google's library tells apart; gRPC statuses: that library's list; warnings of lists: its
 * schema. The errors of operations have no list there: these are from Compute Engine's documentation.
 */
type Outcome = 'gone' | 'BACKEND_UNAVAILABLE' | 'BACKEND_DENIED' | 'BACKEND_REFUSED';
export type RemovalRow = [step: RemovalStep, does: string, fault: Fault, outcome: Outcome];

/** The other statuses of 4xx are refusals; all of 5xx are outages. */
const HTTP: Record<number, Outcome> = {
  401: 'BACKEND_DENIED',
  403: 'BACKEND_DENIED',
  408: 'BACKEND_UNAVAILABLE',
  409: 'BACKEND_UNAVAILABLE',
  429: 'BACKEND_UNAVAILABLE',
  499: 'BACKEND_UNAVAILABLE',
};

/** By gRPC status: the HTTP status that it comes with, and what it means when it lasts. */
export const GRPC: Record<string, [http: number, outcome: Outcome]> = {
  CANCELLED: [499, 'BACKEND_UNAVAILABLE'],
  UNKNOWN: [500, 'BACKEND_UNAVAILABLE'],
  INVALID_ARGUMENT: [400, 'BACKEND_REFUSED'],
  DEADLINE_EXCEEDED: [504, 'BACKEND_UNAVAILABLE'],
  NOT_FOUND: [404, 'BACKEND_REFUSED'],
  ALREADY_EXISTS: [409, 'BACKEND_REFUSED'],
  PERMISSION_DENIED: [403, 'BACKEND_DENIED'],
  RESOURCE_EXHAUSTED: [429, 'BACKEND_UNAVAILABLE'],
  FAILED_PRECONDITION: [400, 'BACKEND_REFUSED'],
  ABORTED: [409, 'BACKEND_UNAVAILABLE'],
  OUT_OF_RANGE: [400, 'BACKEND_REFUSED'],
  UNIMPLEMENTED: [501, 'BACKEND_UNAVAILABLE'],
  INTERNAL: [500, 'BACKEND_UNAVAILABLE'],
  UNAVAILABLE: [503, 'BACKEND_UNAVAILABLE'],
  DATA_LOSS: [500, 'BACKEND_UNAVAILABLE'],
  UNAUTHENTICATED: [401, 'BACKEND_DENIED'],
};

/** The library asks again by itself: once is no failure. */
const ASKED_AGAIN = ['DEADLINE_EXCEEDED', 'INTERNAL', 'UNAVAILABLE', 'UNAUTHENTICATED', 'PERMISSION_DENIED'];

/** Of operations; `gone`: the instance has gone or is being changed, so that the backend looks again. */
const OPERATIONS: Record<string, Outcome> = {
  RESOURCE_NOT_FOUND: 'gone',
  RESOURCE_NOT_READY: 'gone',
  RESOURCE_IN_USE_BY_ANOTHER_RESOURCE: 'BACKEND_UNAVAILABLE',
  RESOURCE_OPERATION_RATE_EXCEEDED: 'BACKEND_UNAVAILABLE',
  INTERNAL_ERROR: 'BACKEND_UNAVAILABLE',
  SERVICE_UNAVAILABLE: 'BACKEND_UNAVAILABLE',
  TIMEOUT: 'BACKEND_UNAVAILABLE',
  RATE_LIMIT_EXCEEDED: 'BACKEND_UNAVAILABLE',
  QUOTA_EXCEEDED: 'BACKEND_UNAVAILABLE',
  ZONE_RESOURCE_POOL_EXHAUSTED: 'BACKEND_UNAVAILABLE',
  OPERATION_CANCELED_BY_USER: 'BACKEND_UNAVAILABLE',
  PERMISSIONS_ERROR: 'BACKEND_DENIED',
  SERVICE_ACCOUNT_ACCESS_DENIED: 'BACKEND_DENIED',
  FORBIDDEN: 'BACKEND_DENIED',
  CONDITION_NOT_MET: 'BACKEND_REFUSED',
  INVALID_USAGE: 'BACKEND_REFUSED',
  INVALID_FIELD_VALUE: 'BACKEND_REFUSED',
  UNSUPPORTED_OPERATION: 'BACKEND_REFUSED',
};

const QUOTA = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of 'compute.googleapis.com'";
const CONCURRENT = {
  '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
  reason: 'CONCURRENT_OPERATIONS_QUOTA_EXCEEDED',
  domain: 'googleapis.com',
};
const PROTECTED = "Invalid resource usage: 'Resource cannot be deleted if it's protected against deletion.'";
const ZONE_PATH = 'projects/acme-ci/zones/{zone}';

/** While a deletion has this answer, another client changes the instance: the backend looks again. */
const isBusy = (step: RemovalStep, status: number): boolean => step === 'delete' && status === 409;
const statuses = [...new Set([...HTTP_FAILURES, ...readGoogleStatuses().http, 302, 520, 599])];
const asJson = (status: number, body: unknown): Fault => answerWith(jsonAnswer(status, body));
const asPage = (status: number, body: string): Fault => answerWith(pageAnswer(status, body));
const afterwards = (answer: Answer): Fault => ({ kind: 'answer-after', answer });
const ofGrpc = (name: string, http: number): Fault => google(http, `no ${name}`, { status: name });

/** Answers that last until the removal has failed. */
export const LASTING: RemovalRow[] = REMOVAL_STEPS.flatMap((step): RemovalRow[] => [
  ...statuses
    .filter((status) => !isBusy(step, status))
    .map((status): RemovalRow => {
      const outcome = HTTP[status] ?? (status < 500 ? 'BACKEND_REFUSED' : 'BACKEND_UNAVAILABLE');
      return [step, `${status}`, google(status), outcome];
    }),
  ...Object.entries(GRPC)
    .filter(([, [http]]) => !isBusy(step, http))
    .map(([name, [http, outcome]]): RemovalRow => [step, name, ofGrpc(name, http), outcome]),
  [step, '403 of a rate limit', google(403, 'Rate Limit Exceeded'), 'BACKEND_UNAVAILABLE'],
  [step, '403 of a quota for calls', google(403, QUOTA), 'BACKEND_UNAVAILABLE'],
  [
    step,
    '403 of a quota for operations',
    google(403, 'Quota exceeded.', { details: [CONCURRENT] }),
    'BACKEND_UNAVAILABLE',
  ],
  [step, '404 for the project', google(404, "The resource 'projects/acme-ci' was not found"), 'BACKEND_REFUSED'],
  [step, '404 for the zone', google(404, `The resource '${ZONE_PATH}' was not found`), 'BACKEND_REFUSED'],
  [
    step,
    '404 for another',
    google(404, `The resource '${ZONE_PATH}/instances/x-{runner}' was not found`),
    'BACKEND_REFUSED',
  ],
  [
    step,
    '404 of a proxy',
    asPage(404, `<code>/compute/v1/${ZONE_PATH}/instances/{runner}</code> was not found`),
    'BACKEND_REFUSED',
  ],
  [step, '401 of a proxy', asPage(401, '<title>Who are you?</title>'), 'BACKEND_DENIED'],
  [step, '502 of a proxy', asPage(502, '<title>Bad Gateway</title>'), 'BACKEND_UNAVAILABLE'],
  [step, 'a page with status 200', asPage(200, '<title>Maintenance</title>'), 'BACKEND_UNAVAILABLE'],
  [step, 'an empty body', asPage(200, ''), 'BACKEND_UNAVAILABLE'],
  [step, 'no content (204)', asPage(204, ''), 'BACKEND_UNAVAILABLE'],
  [step, 'null', asJson(200, null), 'BACKEND_UNAVAILABLE'],
  [step, 'an array', asJson(200, []), 'BACKEND_UNAVAILABLE'],
  [step, 'an object without its fields', asJson(200, {}), 'BACKEND_UNAVAILABLE'],
  [step, 'an object with others', asJson(200, { status: 'ok' }), 'BACKEND_UNAVAILABLE'],
  [step, 'a lost connection', { kind: 'cut' }, 'BACKEND_UNAVAILABLE'],
]);
LASTING.push(
  ['delete', 'that it is protected (400)', google(400, PROTECTED), 'BACKEND_REFUSED'],
  ['delete', 'that it is protected (412)', google(412, PROTECTED), 'BACKEND_REFUSED'],
  ['delete', '503, after it did the work', afterwards(jsonAnswer(503, {})), 'BACKEND_UNAVAILABLE'],
  ['delete', 'a page, after it did the work', afterwards(pageAnswer(200, '')), 'BACKEND_UNAVAILABLE'],
  ['delete', 'a lost connection, after it did the work', { kind: 'cut-after' }, 'BACKEND_UNAVAILABLE'],
  ['list', 'twelve empty pages, and more', asJson(200, { items: {}, nextPageToken: 'x' }), 'BACKEND_UNAVAILABLE'],
  // Only NO_RESULTS_ON_PAGE says that a zone has none.
  ...readGoogleWarnings()
    .filter((code) => code !== 'NO_RESULTS_ON_PAGE')
    .map((code): RemovalRow => {
      const items = { 'zones/us-central1-a': { warning: { code, message: `it warns of ${code}` } } };
      return ['list', code, asJson(200, { kind: 'compute#instanceAggregatedList', items }), 'BACKEND_UNAVAILABLE'];
    }),
  ...Object.entries(OPERATIONS)
    .filter(([, outcome]) => outcome !== 'gone')
    .flatMap(([code, outcome]): RemovalRow[] => [
      ['delete', `a failed operation: ${code}`, failedOperation(code), outcome],
      ['wait', `a failed operation: ${code}`, failedOperation(code), outcome],
    ]),
);

/** Answers that come once. */
export const ONCE: RemovalRow[] = REMOVAL_STEPS.flatMap((step): RemovalRow[] =>
  Object.entries(GRPC).map(([name, [http, outcome]]): RemovalRow => {
    const goesOn = ASKED_AGAIN.includes(name) || isBusy(step, http);
    return [step, name, ofGrpc(name, http), goesOn ? 'gone' : outcome];
  }),
);
/** Answers in which the removal goes on by itself: these fail it only when they last for too long. */
export const PASSING: RemovalRow[] = [
  [
    'delete',
    '404 for this instance',
    google(404, `The resource '${ZONE_PATH}/instances/{runner}' was not found`),
    'gone',
  ],
  ['delete', '409', google(409), 'gone'],
  [
    'delete',
    '400, since it is not ready',
    google(400, `The resource '${ZONE_PATH}/instances/{runner}' is not ready`),
    'gone',
  ],
  ...Object.entries(OPERATIONS)
    .filter(([, outcome]) => outcome === 'gone')
    .flatMap(([code]): RemovalRow[] => [
      ['delete', `a failed operation: ${code}`, failedOperation(code), 'gone'],
      ['wait', `a failed operation: ${code}`, failedOperation(code), 'gone'],
    ]),
];
const STILL = { kind: 'compute#operation', name: 'operation-1', status: 'RUNNING' };
const RUNNING: RemovalRow = ['wait', 'an operation that still runs', asJson(200, STILL), 'gone'];
ONCE.push(...PASSING, RUNNING);

/** What fails no call: only the time of the removal ends it. */
export const ENDLESS: RemovalRow[] = [
  ...PASSING.filter(([step]) => step === 'delete'),
  RUNNING,
  ...REMOVAL_STEPS.map((step): RemovalRow => [step, 'nothing', { kind: 'hang' }, 'gone']),
].map(([step, does, fault]) => [step, does, fault, 'BACKEND_UNAVAILABLE']);
