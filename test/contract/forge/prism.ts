import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { findFreePort } from '../../../contracts/lib/free-ports.ts';
import { DESCRIPTION } from './description.ts';

export interface Prism {
  url: string;
  close(): Promise<void>;
}

/**
 * Starts Prism between a client and `upstream`: a request or an answer that violates GitHub's description becomes an
 * error. Prism needs about 12 s and 500 MB to read its 13 MB.
 */
export async function startPrism(upstream: string): Promise<Prism> {
  const port = await findFreePort();
  const program = createRequire(import.meta.url).resolve('@stoplight/prism-cli/dist/index.js');
  const args = [program, 'proxy', DESCRIPTION, upstream, '--errors', '--port', String(port)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // However this process ends, it ends Prism too.
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString('utf8');
      if (output.includes('Prism is listening')) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => reject(new Error(`Prism ended with ${code}: ${output.slice(-2_000)}`)));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      process.removeListener('exit', kill);
      kill();
      await gone;
    },
  };
}
