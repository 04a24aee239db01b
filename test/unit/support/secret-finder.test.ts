import { describe, expect, it } from 'vitest';
import { SecretFinder } from '../../support/secret-finder.ts';

describe('the finder', () => {
  const finder = new SecretFinder({ token: 'ghp_a_token_of_someone', config: 'abcdefghijk'.repeat(300) });

  it.each([
    ['as it is', 'x ghp_a_token_of_someone y'],
    ['in base64', Buffer.from('ghp_a_token_of_someone').toString('base64')],
    ['in base64, shifted by one', Buffer.from('1ghp_a_token_of_someone, more').toString('base64')],
    ['in base64, shifted by two', Buffer.from('12ghp_a_token_of_someone, more').toString('base64url')],
    ['in hex', Buffer.from('ghp_a_token_of_someone').toString('hex')],
    ['in bytes that are no text', Buffer.concat([Buffer.from([0xff, 0, 0xfe]), Buffer.from('ghp_a_token_of_someone')])],
  ])('finds a secret %s', (_how, content) => {
    expect(finder.findIn(content)).toEqual(['token']);
  });

  it('finds a long one whose end is missing, and any NATS seed', () => {
    expect(finder.findIn('abcdefghijk'.repeat(150))).toEqual(['config']);
    expect(finder.findIn(`seed SU${'A2'.repeat(28)}`)).toEqual(['a NATS seed at 5']);
    expect(finder.findIn('-----BEGIN USER NKEY SEED------')).toEqual(['a NATS seed at 0']);
  });

  it('finds nothing where there is nothing', () => {
    expect(finder.findIn('ghp_a_token_of_some one, SUABC')).toEqual([]);
  });
});
