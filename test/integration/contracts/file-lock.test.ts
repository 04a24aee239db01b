import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { acquireLock } from '../../../contracts/lib/file-lock.mjs';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'baton lock '));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('acquireLock', () => {
  it('takes over at once from a holder on this machine that was killed', async () => {
    const file = join(dir, 'killed');
    const module = new URL('../../../contracts/lib/file-lock.mjs', import.meta.url).href;
    const script = `const { acquireLock } = await import(${JSON.stringify(module)});
      await acquireLock(${JSON.stringify(file)}); console.log('in'); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    expect(await acquireLock(file, { waitMs: 0 })).toBeUndefined();
    const gone = new Promise((resolve) => holder.once('exit', resolve));
    holder.kill('SIGKILL');
    await gone;
    const lock = await acquireLock(file, { waitMs: 1000 });
    expect(lock).toBeDefined();
    lock?.release();
  });
});
