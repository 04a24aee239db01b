import { chmod, copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const HOOKS = fileURLToPath(new URL('../../hooks/proxy/', import.meta.url));

/**
 * Writes a proxy's job-started hook to a folder: the script, and its program as one file that needs only Node. Other users may read
 * both, and change neither.
 *
 * @returns the script
 */
export async function writeHookFolder(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  const program = join(folder, 'delegate.mjs');
  await build({
    entryPoints: [join(HOOKS, 'main.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    minifySyntax: true,
    logLevel: 'silent',
  });
  await chmod(program, 0o644);
  const script = join(folder, 'job-started.sh');
  await copyFile(join(HOOKS, 'job-started.sh'), script);
  await chmod(script, 0o755);
  return script;
}
