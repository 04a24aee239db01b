import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const PROGRAM = fileURLToPath(new URL('bundle-program.ts', import.meta.url));
/** The variables that the program needs. It gets none of the orchestrator's secrets. */
const PASSED_VARIABLES = ['PATH', 'HOME', 'TMPDIR', 'LOG_LEVEL'];

/**
 * Bundles the workflow code, which takes two seconds. A process of its own does it: webpack would leave some 170 MB of garbage
 * with the orchestrator, for ever.
 */
export async function bundleWorkflows(): Promise<{ code: string }> {
  const env = Object.fromEntries(PASSED_VARIABLES.map((name) => [name, process.env[name]]));
  const child = fork(PROGRAM, { env, execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const code = await new Promise<string>((resolve, reject) => {
    child.once('message', (message) => resolve(z.string().parse(message)));
    child.once('error', reject);
    child.once('exit', (exitCode, signal) =>
      reject(new Error(`bundling the workflow code ended with ${signal ?? `code ${exitCode}`}; the log says why`)),
    );
  });
  return { code };
}
