import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { acquireLock } from '../../../../contracts/lib/file-lock.mjs';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'baton lock '));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('acquireLock', () => {
  it('lets one holder in at a time and reports the pid of the present one', async () => {
    const file = join(dir, 'one');
    const first = await acquireLock(file);
    let holder: number | undefined;
    expect(await acquireLock(file, { waitMs: 0, onWait: (pid) => (holder = pid) })).toBeUndefined();
    expect(holder).toBe(process.pid);
    const second = acquireLock(file);
    first.release();
    (await second).release();
    expect(existsSync(file)).toBe(false);
  });

  it('never lets two holders in, however many wait', async () => {
    const file = join(dir, 'many');
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const lock = await acquireLock(file);
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
        lock.release();
      }),
    );
    expect(most).toBe(1);
  });

  it('takes over from a holder on another machine that no longer touches its file', async () => {
    const file = join(dir, 'elsewhere');
    writeFileSync(file, JSON.stringify({ pid: 1, host: 'another machine' }));
    expect(await acquireLock(file, { waitMs: 0 })).toBeUndefined();
    const past = new Date(Date.now() - 60_000);
    utimesSync(file, past, past);
    const lock = await acquireLock(file, { waitMs: 1000 });
    expect(lock).toBeDefined();
    lock?.release();
  });
});
