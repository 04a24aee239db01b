import pMap from 'p-map';
import { beforeAll, describe, expect, it } from 'vitest';
import { HTTP_FAILURES, readAmazonCodes, readDockerStatuses } from '../../support/library-lists.ts';
import type { Answer } from '../../support/fault-proxy.ts';
import { jsonAnswer, pageAnswer, type RemovalEnding } from '../../support/removal-ending.ts';
import { refuse, removeTwice, serveEc2, serveEngine, xml } from './removal-servers.ts';

/**
 * Every answer that an engine or EC2 can give in each step of a removal, by what the backend makes of it, through the real client
 * libraries. Statuses: Node's list, and those that dockerode expects of each request; codes: the lists in Amazon's library, and
 * those of EC2's documentation.
 */
const PASSING = [408, 429];
const isRefused = (status: number): boolean => status < 500 && !PASSING.includes(status);
const STATUSES = [...HTTP_FAILURES, 520, 599].filter((status) => status !== 401 && status !== 403);
const REFUSED = STATUSES.filter(isRefused);
const FAILED = STATUSES.filter((status) => !isRefused(status));

/** Most of the time is the libraries' delay between attempts: each row has a server of its own, beside others. */
const AT_ONCE = 20;

type Row = [step: string, does: string, answer: Answer, outcome: string];

/** What dockerode expects as answers to each request. */
const EXPECTED = await readDockerStatuses({
  'list container': (docker) => docker.listContainers(),
  'remove container': (docker) => docker.getContainer('c1').remove(),
  'list network': (docker) => docker.listNetworks(),
  'remove network': (docker) => docker.getNetwork('n1').remove(),
});
const STEPS = Object.keys(EXPECTED);
const ENGINE: Row[] = STEPS.flatMap((step): Row[] => {
  const isList = step.startsWith('list');
  const waits = (status: number): boolean => !isList && (status === 404 || status === 409);
  const outcome = (status: number): string => (waits(status) ? 'BACKEND_UNAVAILABLE' : 'BACKEND_REFUSED');
  return [
    ...REFUSED.map((status): Row => [
      step,
      `${status}`,
      jsonAnswer(status, { message: `no ${status}` }),
      outcome(status),
    ]),
    ...FAILED.map((status): Row => [step, `${status}`, jsonAnswer(status, { message: 'no' }), 'BACKEND_UNAVAILABLE']),
    // It removed nothing, or sent no list.
    ...(EXPECTED[step]?.done ?? []).map((status): Row => [
      step,
      `${status}`,
      jsonAnswer(status, {}),
      'BACKEND_UNAVAILABLE',
    ]),
    [step, '401', jsonAnswer(401, { message: 'no' }), 'BACKEND_DENIED'],
    [step, '403 of a plugin', jsonAnswer(403, { message: 'authorization denied by plugin x' }), 'BACKEND_DENIED'],
    [step, 'an empty body', pageAnswer(200, ''), 'BACKEND_UNAVAILABLE'],
    [step, 'a page of an outage with 200', pageAnswer(200, '<html>maintenance</html>'), 'BACKEND_UNAVAILABLE'],
    [step, 'null', jsonAnswer(200, null), 'BACKEND_UNAVAILABLE'],
    [step, 'an object', jsonAnswer(200, { length: 0 }), 'BACKEND_UNAVAILABLE'],
  ];
});
ENGINE.push([
  'remove network',
  '403 of endpoints',
  jsonAnswer(403, { message: 'it has active endpoints' }),
  'BACKEND_UNAVAILABLE',
]);

const CODES: [outcome: string, status: number, codes: string[]][] = [
  ['BACKEND_DENIED', 403, ['UnauthorizedOperation', 'Blocked', 'InvalidClientTokenId', 'SignatureDoesNotMatch']],
  ['BACKEND_DENIED', 401, ['AuthFailure', 'OptInRequired']],
  ['BACKEND_DENIED', 400, ['ExpiredToken', 'PendingVerification', 'IncompleteSignature', 'MissingAuthenticationToken']],
  ['BACKEND_UNAVAILABLE', 400, ['InvalidInstanceID.NotFound', 'IncorrectInstanceState', 'ResourceCountExceeded']],
  ['BACKEND_REFUSED', 400, ['OperationNotPermitted', 'InvalidInstanceID.Malformed', 'UnsupportedOperation']],
  ['BACKEND_REFUSED', 400, ['InvalidParameterValue', 'InvalidAction', 'UnknownParameter', 'ValidationError']],
];
/** The codes that Amazon's library tells apart: by its lists of them, and for each of these what it means. */
const LISTED = readAmazonCodes();
const LISTS: [outcome: string, codes: string[]][] = [
  ['BACKEND_DENIED', LISTED.CLOCK_SKEW_ERROR_CODES],
  ['BACKEND_UNAVAILABLE', LISTED.THROTTLING_ERROR_CODES],
  ['BACKEND_UNAVAILABLE', LISTED.TRANSIENT_ERROR_CODES],
];

const EC2: Row[] = ['DescribeInstances', 'TerminateInstances'].flatMap((step): Row[] => [
  ...CODES.flatMap(([outcome, status, codes]) => codes.map((code): Row => [step, code, refuse(status, code), outcome])),
  ...LISTS.flatMap(([outcome, codes]) => codes.map((code): Row => [step, `${code} (400)`, refuse(400, code), outcome])),
  // The library asks again before it gives these up.
  ...LISTED.TRANSIENT_ERROR_STATUS_CODES.map((status): Row => [
    step,
    `${status}`,
    refuse(status, 'Odd'),
    'BACKEND_UNAVAILABLE',
  ]),
  ...STATUSES.filter((status) => status < 500).map((status): Row => [
    step,
    `a code that nobody knows, with ${status}`,
    refuse(status, 'Odd'),
    isRefused(status) ? 'BACKEND_REFUSED' : 'BACKEND_UNAVAILABLE',
  ]),
  [step, 'RequestLimitExceeded', refuse(503, 'RequestLimitExceeded'), 'BACKEND_UNAVAILABLE'],
  [step, 'InternalError', refuse(500, 'InternalError'), 'BACKEND_UNAVAILABLE'],
  [step, 'Unavailable', refuse(503, 'Unavailable'), 'BACKEND_UNAVAILABLE'],
  [step, 'a proxy’s 404', pageAnswer(404, '<html>no</html>'), 'BACKEND_REFUSED'],
  [step, 'an empty body', xml(200, ''), 'BACKEND_UNAVAILABLE'],
  [
    step,
    'a page of an outage with 200',
    pageAnswer(200, '<html><body>maintenance</body></html>'),
    'BACKEND_UNAVAILABLE',
  ],
  [step, 'an answer without its list', xml(200, '<R><requestId>1</requestId></R>'), 'BACKEND_UNAVAILABLE'],
]);
EC2.push(
  ['CreateTags', 'TagLimitExceeded', refuse(400, 'TagLimitExceeded'), 'gone'],
  ['CreateTags', 'UnauthorizedOperation', refuse(403, 'UnauthorizedOperation'), 'gone'],
);

describe.each([
  ['docker', serveEngine, ENGINE],
  ['ec2', serveEc2, EC2],
] as const)('the removal of an instance of %s', (_backend, start, rows) => {
  const endings = new Map<string, RemovalEnding | Error>();

  beforeAll(async () => {
    const work = async ([step, does, answer]: Row): Promise<void> => {
      endings.set(`${step} ${does}`, await removeTwice(start, { [step]: answer }).catch((error: Error) => error));
    };
    await pMap(rows, work, { concurrency: AT_ONCE });
  });

  it.each(rows)('where the call "%s" is answered with %s', async (step, does, _answer, outcome) => {
    const says = outcome === 'BACKEND_REFUSED' && !does.startsWith('a ') ? `no ${does}` : '';
    expect(endings.get(`${step} ${does}`)).toMatchObject({ outcome, message: expect.stringContaining(says) });
  });
});

describe('the table of answers', () => {
  it('has one row for each answer', () => {
    for (const rows of [ENGINE, EC2])
      expect(new Set(rows.map(([step, does]) => `${step} ${does}`)).size).toBe(rows.length);
  });

  it.each(STEPS)('has a row for each status that dockerode expects of "%s"', (step) => {
    const { done = [], refused = [] } = EXPECTED[step] ?? {};
    expect(refused.length).toBeGreaterThan(0);
    const rows = ENGINE.filter((row) => row[0] === step).map((row) => row[1]);
    expect(rows).toEqual(expect.arrayContaining([...done, ...refused].map(String)));
  });
});
