import type { Answer, Call } from '../../../support/fault-proxy.ts';

/**
 * EC2's own answers in cases that the emulator does not support: XML, codes, statuses and messages.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html and errors that users reported.
 */

const XML = { 'content-type': 'text/xml;charset=UTF-8', server: 'AmazonEC2' };
const REQUEST_ID = '5f1a0c2e-0000-4000-8000-000000000000';

export function errorAnswer(status: number, code: string, message: string): Answer {
  const error = `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors>${error}</Errors><RequestID>${REQUEST_ID}</RequestID></Response>`;
  return { status, headers: XML, body };
}

export const THROTTLED = errorAnswer(503, 'RequestLimitExceeded', 'Request limit exceeded.');
export const FAILED = errorAnswer(500, 'InternalError', 'An internal error has occurred');
export const EXPIRED = errorAnswer(400, 'RequestExpired', 'Request has expired.');
export const NOT_ALLOWED = errorAnswer(
  403,
  'UnauthorizedOperation',
  'You are not authorized to perform this operation. Encoded authorization failure message: x',
);
export const EXHAUSTED = errorAnswer(
  500,
  'InsufficientInstanceCapacity',
  'We currently do not have sufficient m5.large capacity in the Availability Zone you requested (us-east-1a). Our system will be working on provisioning additional capacity.',
);
export const MISMATCH = errorAnswer(
  400,
  'IdempotentParameterMismatch',
  'Arguments on this idempotent request are inconsistent with arguments used in previous request(s).',
);
export const TERMINATED = errorAnswer(
  400,
  'IdempotentInstanceTerminated',
  'The client token you have provided is associated with a terminated instance. Please use a different client token.',
);

/** The answer to DescribeInstances that finds none. */
export const EMPTY_LIST: Answer = {
  status: 200,
  headers: XML,
  body: `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>${REQUEST_ID}</requestId><reservationSet/></DescribeInstancesResponse>`,
};

/** The answer to DescribeInstances with `count` instances: pages of 1,000, each with the token of the next. */
export function longList(call: Call, installation: string, count: number): Answer {
  const from = Number(parseParameters(call).get('NextToken') ?? 0);
  const to = Math.min(count, from + 1000);
  const items = Array.from({ length: to - from }, (_, index) => {
    const number = String(from + index).padStart(8, '0');
    const tags = {
      'baton.installation': installation,
      'baton.group': 'linux',
      'baton.runner': `${installation}-linux-${number}`,
    };
    const tagSet = Object.entries(tags).map(([key, value]) => `<item><key>${key}</key><value>${value}</value></item>`);
    const machine = `<instanceId>i-0${number}00000000</instanceId><instanceState><code>16</code><name>running</name></instanceState><instanceType>m5.large</instanceType><launchTime>2026-11-21T10:00:00.000Z</launchTime><tagSet>${tagSet.join('')}</tagSet>`;
    return `<item><reservationId>r-0${number}00000000</reservationId><instancesSet><item>${machine}</item></instancesSet></item>`;
  });
  const next = to < count ? `<nextToken>${to}</nextToken>` : '';
  const list = `<reservationSet>${items.join('')}</reservationSet>${next}`;
  return { ...EMPTY_LIST, body: EMPTY_LIST.body.replace('<reservationSet/>', list) };
}

/** The parameters of a call, including its action. */
export function parseParameters(call: Call): URLSearchParams {
  return new URLSearchParams(call.body.toString());
}

export function isAction(call: Call, action: string): boolean {
  return parseParameters(call).get('Action') === action;
}
