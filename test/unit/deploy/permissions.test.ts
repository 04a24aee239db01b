import { describe, expect, it } from 'vitest';
import { CREDENTIAL_NAMES, getPermissions } from '../../../deploy/nats/permissions.ts';

/** NATS closes the connection of a client whose first line, CONNECT with its credential, is longer. */
const MAX_LINE = 4096;
/** Names, keys and signatures in the credential, and what a client says of itself. */
const REST = 900;

describe('a credential', () => {
  it.each(CREDENTIAL_NAMES)('of %s fits into one line of NATS’ protocol', (name) => {
    // The credential is in base64.
    const size = (JSON.stringify(getPermissions(name)).length * 4) / 3;
    expect(size + REST).toBeLessThan(MAX_LINE);
  });
});
