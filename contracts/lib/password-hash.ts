import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';

/** 2^15 × 8 × 128 bytes: an attempt takes 32 MiB and about 0.1 s, for us and for whoever has stolen the hash. */
const COST: Required<Pick<ScryptOptions, 'N' | 'r' | 'p'>> = { N: 2 ** 15, r: 8, p: 1 };
const MAX_MEMORY_BYTES = 128 * 1024 ** 2;
const LENGTH = 32;
/** No `$`: shells and docker-compose would replace it. */
const PATTERN = /^scrypt:(\d{4,6}):(\d{1,2}):(\d):([\w-]{22,}):([\w-]{43})$/;

/** `scrypt:N:r:p:SALT:HASH` of a password. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, COST);
  return ['scrypt', COST.N, COST.r, COST.p, salt.toString('base64url'), hash.toString('base64url')].join(':');
}

/** Whether a text is what {@link hashPassword} made. */
export function isPasswordHash(text: string): boolean {
  return PATTERN.test(text);
}

/** Compares in constant time. False for a hash of another form, or with a cost beyond the memory for it. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const [, N = '', r = '', p = '', salt = '', hash = ''] = PATTERN.exec(stored) ?? [];
  if (hash === '') return false;
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  const given = await derive(password, Buffer.from(salt, 'base64url'), cost).catch(() => undefined);
  return given !== undefined && timingSafeEqual(given, Buffer.from(hash, 'base64url'));
}

function derive(password: string, salt: Buffer, cost: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, LENGTH, { ...cost, maxmem: MAX_MEMORY_BYTES }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
