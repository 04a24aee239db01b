import { describe, expect, it } from 'vitest';
import { hashPassword, isPasswordHash, verifyPassword } from '../../../../contracts/lib/password-hash.ts';

describe('the hash of a password', () => {
  it('is verified with that password only, and differs each time', async () => {
    const [one, two] = [await hashPassword('päss wörd'), await hashPassword('päss wörd')];
    expect(one).not.toBe(two);
    expect(isPasswordHash(one)).toBe(true);
    expect(await verifyPassword('päss wörd', one)).toBe(true);
    // The same letters as another keyboard writes them.
    expect(await verifyPassword('päss wörd'.normalize('NFD'), one)).toBe(true);
    expect(await verifyPassword('pass word', one)).toBe(false);
    expect(await verifyPassword('', one)).toBe(false);
  });

  it('is refused in another form, or with a cost beyond the memory for it', async () => {
    const hash = await hashPassword('a password');
    for (const other of ['', 'a password', hash.replace('scrypt', 'bcrypt'), hash.slice(0, -1), `${hash}A`]) {
      expect(isPasswordHash(other)).toBe(false);
      expect(await verifyPassword('a password', other)).toBe(false);
    }
    const costly = hash.replace(/^scrypt:\d+/, `scrypt:${2 ** 19}`);
    expect(await verifyPassword('a password', costly)).toBe(false);
  });
});
