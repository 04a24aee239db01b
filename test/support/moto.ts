import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { getErrorMessage } from '../../contracts/errors.ts';
import { acquireLock } from '../../contracts/lib/file-lock.mjs';
import { findCacheFolder } from '../../deploy/servers/acquire.ts';
import { startChild, waitUntilReady } from '../../deploy/servers/child.ts';
import { findFreePort } from '../../contracts/lib/free-ports.ts';
import { temporaryFolder } from './cleanup.ts';

const run = promisify(execFile);
const REQUIREMENTS = fileURLToPath(new URL('moto-requirements.txt', import.meta.url));
const INSTALL_TIMEOUT_MS = 280_000;

/** The emulator's release. */
export const MOTO_VERSION = /^moto==(.+)$/m.exec(readFileSync(REQUIREMENTS, 'utf8'))?.[1] ?? '';

export type FoundMoto = { program: string } | { missing: string };

/**
 * Finds moto's server, an emulator of AWS from PyPI. Installs it once into a folder of the user's cache, with all
 * versions pinned. Where that fails (no Python, no venv module, no PyPI), the result says why.
 */
export async function findMoto(): Promise<FoundMoto> {
  const hash = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex').slice(0, 12);
  const folder = join(dirname(findCacheFolder()), `moto-${hash}`);
  const program = join(folder, 'bin', 'moto_server');
  const stamp = join(folder, 'complete');
  if (existsSync(stamp)) return { program };
  mkdirSync(dirname(folder), { recursive: true });
  const lock = await acquireLock(`${folder}.lock`);
  try {
    if (existsSync(stamp)) return { program };
    rmSync(folder, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', folder], { timeout: INSTALL_TIMEOUT_MS });
    const pip = ['install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:', '-r', REQUIREMENTS];
    await run(join(folder, 'bin', 'pip'), pip, { timeout: INSTALL_TIMEOUT_MS });
    writeFileSync(stamp, '');
    return { program };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    return { missing: `moto could not be installed: ${getErrorMessage(error).split('\n')[0]}` };
  } finally {
    lock.release();
  }
}

/** Starts a moto server on a free port; it ends together with the test's process, however that ends. */
export async function startMoto(program: string): Promise<{ address: string; stop(): Promise<void> }> {
  const folder = temporaryFolder('moto');
  const port = await findFreePort();
  const logFile = join(folder.path, 'log');
  const child = startChild({ name: 'moto', command: program, args: ['-H', '127.0.0.1', '-p', String(port)], logFile });
  const address = `http://127.0.0.1:${port}`;
  await waitUntilReady(child, async () => (await fetch(`${address}/moto-api/data.json`)).ok, 120_000);
  return {
    address,
    stop: async () => {
      await child.stop();
      folder.remove();
    },
  };
}
