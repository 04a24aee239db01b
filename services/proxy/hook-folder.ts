import { chmod, copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const HOOKS = fileURLToPath(new URL('../../hooks/proxy/', import.meta.url));

/**
 * Writes a proxy's hooks to a folder: the two scripts, and their program as one file that needs only Node.
 *
 * @returns the folder
 */
export async function writeHookFolder(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: [join(HOOKS, 'main.ts')],
    outfile: join(folder, 'delegate.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    minifySyntax: true,
    logLevel: 'silent',
  });
  for (const script of ['job-started.sh', 'job-completed.sh']) {
    await copyFile(join(HOOKS, script), join(folder, script));
    await chmod(join(folder, script), 0o755);
  }
  return folder;
}
