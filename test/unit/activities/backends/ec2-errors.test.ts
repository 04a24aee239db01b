import { describe, expect, it } from 'vitest';
import { toBatonError } from '../../../../activities/backends/ec2/errors.ts';
import { readAmazonCodes } from '../../../support/library-lists.ts';

const { NODEJS_TIMEOUT_ERROR_CODES, NODEJS_NETWORK_ERROR_CODES } = readAmazonCodes();

describe('an error of the connection to EC2', () => {
  it.each([...NODEJS_TIMEOUT_ERROR_CODES, ...NODEJS_NETWORK_ERROR_CODES])('is no answer: %s', (code) => {
    const error = Object.assign(new Error(`connect ${code}`), { code });
    for (const refused of ['invalid', 'retry'] as const)
      expect(toBatonError(error, 'deleting x', refused)).toMatchObject({
        code: 'BACKEND_UNAVAILABLE',
        retryable: true,
      });
  });
});
